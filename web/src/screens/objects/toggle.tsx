// Switches an object off or on again.

import type { StoredObject } from "../../api/types";
import { t } from "../../i18n";
import { IconButton } from "../../ui/icon";
import { attempt } from "../../ui/toast";
import { changeObject, type Kind } from "./api";
import { isEnabled } from "./columns";

interface Props {
  readonly kind: Kind;
  readonly object: StoredObject;
  readonly changed: () => void;
}

export function ToggleButton({ kind, object, changed }: Props) {
  const on = isEnabled(object);
  const c = t().objects;
  return (
    <IconButton
      label={on ? c.disable : c.enable}
      of={object.name}
      icon="power"
      pressed={!on}
      disabled={object.origin !== "store"}
      onClick={() => void attempt(() => changeObject(kind, object.name, { enabled: !on })).then(changed)}
    />
  );
}
