// Addresses at which clients on phones and desktops read the nodes that work now.

import { useState } from "preact/hooks";

import { api, value } from "../api/client";
import type { StoredObject } from "../api/types";
import { t } from "../i18n";
import { isLoopback } from "../lib/address";
import { count } from "../lib/format";
import { useResource } from "../lib/resource";
import { copyAndSay, CopyButton, QrButton, QrDialog } from "../ui/copy";
import type { Field } from "../ui/form";
import { IconButton } from "../ui/icon";
import { Failure, Loading } from "../ui/states";
import type { Column } from "../ui/table";
import { attempt } from "../ui/toast";
import { enabledColumn, isEnabled, nameColumn, ObjectsScreen, originColumn, poolFields, problemColumn, text, textColumn, ToggleButton } from "./objects";

// The forms in which the nodes are given; without one the client's own name decides.
const TARGETS = ["", "base64", "clash", "sing-box", "sing-box-profile", "xray", "surge", "links", "plain"] as const;

function columns(): readonly Column<StoredObject>[] {
  const c = t().subscriptions;
  return [
    nameColumn(c.name),
    enabledColumn(),
    textColumn("user", c.user, 2),
    textColumn("countries", t().listeners.countries, 2),
    { id: "top", label: c.top, width: "5rem", numeric: true, priority: 3, text: (row) => text(row, "top"), cell: (row) => count(Number(text(row, "top")) || 200) },
    textColumn("interval", c.interval, 3),
    originColumn(),
    problemColumn(),
  ];
}

function fields(object: StoredObject | undefined): readonly Field[] {
  const c = t().subscriptions;
  return [
    ...(object === undefined ? [{ name: "name", label: c.name, kind: "text", required: true } as const] : []),
    { name: "title", label: c.title, kind: "text", prose: true, hint: c.titleHint },
    { name: "user", label: c.user, kind: "text", hint: c.userHint },
    { name: "inbounds", label: c.inbounds, kind: "check" },
    ...poolFields(),
    { name: "interval", label: c.interval, kind: "text", placeholder: "12h" },
    { name: "enabled", label: c.enabled, kind: "check" },
    { name: "allow_private", label: t().start.allowPrivate, kind: "check" },
  ];
}

// The whole address holds a secret: it is asked for only when the reader wants it.
async function loadAddress(name: string, signal?: AbortSignal): Promise<string> {
  const init = signal === undefined ? {} : { signal };
  const { path } = await value(api.GET("/api/v1/subscriptions/{name}/address", { params: { path: { name } }, ...init }));
  return new URL(path, location.href).href;
}

function Address({ name }: { readonly name: string }) {
  const [target, setTarget] = useState("");
  const address = useResource(name, (signal) => loadAddress(name, signal));
  const c = t().subscriptions;
  if (address.value === undefined) return address.error === undefined ? <Loading /> : <Failure error={address.error} retry={address.reload} />;
  const shown = target === "" ? address.value : `${address.value}?target=${target}`;
  return (
    <section class="stack" aria-label={c.address}>
      <code class="break block" dir="ltr">
        {shown}
      </code>
      <div class="row">
        <CopyButton text={shown} />
        <QrButton text={shown} label={name} />
        <label class="row">
          <span class="muted">{c.form}</span>
          <select value={target} onChange={(event) => setTarget(event.currentTarget.value)}>
            {TARGETS.map((form) => (
              <option key={form} value={form}>
                {c.forms[form === "" ? "automatic" : form]}
              </option>
            ))}
          </select>
        </label>
      </div>
      {isLoopback(location.hostname) && <p class="hint">{c.loopback}</p>}
    </section>
  );
}

function Buttons({ subscription, changed }: { readonly subscription: StoredObject; readonly changed: () => void }) {
  const [qr, setQr] = useState<string | undefined>(undefined);
  const { name } = subscription;
  const off = !isEnabled(subscription);
  return (
    <>
      <IconButton label={t().subscriptions.copy} of={name} icon="copy" disabled={off} onClick={() => void attempt(async () => copyAndSay(await loadAddress(name)))} />
      <IconButton label={t().common.qr} of={name} icon="qr" disabled={off} onClick={() => void attempt(async () => setQr(await loadAddress(name)))} />
      <ToggleButton kind="subscription" object={subscription} changed={changed} />
      {qr !== undefined && <QrDialog text={qr} title={name} onClose={() => setQr(undefined)} />}
    </>
  );
}

export function SubscriptionsScreen() {
  const c = t().subscriptions;
  return (
    <ObjectsScreen
      kind="subscription"
      name="subscriptions"
      label={t().screens.subscriptions}
      help={c.help}
      add={c.add}
      empty={c.empty}
      columns={columns()}
      fields={fields}
      // The instance makes the token of the address; it is to be copied now.
      openWhenMade
      actions={(row, changed) => <Buttons subscription={row} changed={changed} />}
      actionsWidth="13.4rem"
      details={(row) => (isEnabled(row) ? <Address name={row.name} /> : <p class="hint">{c.off}</p>)}
    />
  );
}
