// Addresses that clients use, each over a part of the pool.

import { api, value } from "../api/client";
import type { StoredObject } from "../api/types";
import { t } from "../i18n";
import { useResource } from "../lib/resource";
import { CopyButton, QrButton } from "../ui/copy";
import type { Field } from "../ui/form";
import { Address } from "../ui/node";
import type { Column } from "../ui/table";
import { nameColumn, ObjectsScreen, originColumn, poolFields, problemColumn, text, textColumn } from "./objects";

function columns(): readonly Column<StoredObject>[] {
  const c = t().listeners;
  return [
    nameColumn(c.name),
    {
      id: "address",
      label: c.address,
      width: "minmax(9rem, 1.4fr)",
      text: (row) => row.address ?? text(row, "listen"),
      cell: (row) => <Address text={row.address ?? text(row, "listen")} />,
    },
    textColumn("kind", c.kind, 2),
    textColumn("strategy", c.strategy, 2),
    textColumn("countries", c.countries, 2),
    textColumn("tags", c.tags, 3),
    originColumn(),
    problemColumn(),
  ];
}

function fields(object: StoredObject | undefined, strategies: readonly string[]): readonly Field[] {
  const c = t().listeners;
  // The present one stays selected while the others are being loaded.
  const present = object === undefined ? "" : text(object, "strategy");
  const names = strategies.includes(present) || present === "" ? strategies : [present, ...strategies];
  const name: Field = { name: "name", label: c.name, kind: "text", required: true };
  return [
    ...(object === undefined ? [name] : []),
    { name: "listen", label: c.address, kind: "text", placeholder: "127.0.0.1:8001", required: object === undefined },
    { name: "strategy", label: c.strategy, kind: "select", options: [["", c.asProxy], ...names.map((strategy) => [strategy, strategy] as const)] },
    ...poolFields(),
  ];
}

// Encrypted listeners have links instead, which are each user's own.
function isMixed(listener: StoredObject): boolean {
  return ["", "mixed"].includes(text(listener, "kind"));
}

export function ListenersScreen() {
  const c = t().listeners;
  const settings = useResource("settings", (signal) => value(api.GET("/api/v1/settings", { signal })));
  const strategies = settings.value?.find((setting) => setting.key === "proxy.strategy")?.choices ?? [];
  return (
    <ObjectsScreen
      kind="listener"
      name="listeners"
      label={t().screens.listeners}
      add={c.add}
      empty={c.empty}
      columns={columns()}
      fields={(object) => fields(object, strategies)}
      details={(object) =>
        object.address && (
          <div class="row">
            <Address text={object.address} />
            <CopyButton text={object.address} />
            {isMixed(object) && <QrButton text={`http://${object.address}`} label={object.name} />}
          </div>
        )
      }
    />
  );
}
