// Who may use the proxy: until when, how much, and with which exits.

import { api, value } from "../api/client";
import type { StoredObject } from "../api/types";
import { t } from "../i18n";
import { bytes } from "../lib/format";
import { useResource } from "../lib/resource";
import type { Field } from "../ui/form";
import type { Column } from "../ui/table";
import { enabledColumn, nameColumn, ObjectsScreen, originColumn, problemColumn, text, textColumn, ToggleButton } from "./objects";
import { UserLinks } from "./user-links";

function columns(): readonly Column<StoredObject>[] {
  const c = t().users;
  const quota = (row: StoredObject) => text(row, "quota.month") || text(row, "quota.day") || text(row, "quota.total");
  return [
    nameColumn(c.name),
    enabledColumn(),
    textColumn("expires", c.expires, 2),
    { id: "quota", label: c.quota, width: "7rem", priority: 2, text: quota, cell: (row) => (quota(row) === "" ? <span class="muted">–</span> : <bdi>{quota(row)}</bdi>) },
    textColumn("countries", c.countries, 3),
    textColumn("note", c.note, 3),
    originColumn(),
    problemColumn(),
  ];
}

function fields(object: StoredObject | undefined): readonly Field[] {
  const c = t().users;
  const name: Field = { name: "name", label: c.name, kind: "text", required: true };
  return [
    ...(object === undefined ? [name] : []),
    { name: "password", label: object === undefined ? c.password : c.newPassword, kind: "secret", required: object === undefined },
    { name: "enabled", label: c.enabled, kind: "check" },
    { name: "expires", label: c.expires, kind: "text", placeholder: "2027-03-20" },
    { name: "quota.day", label: c.quotaDay, kind: "text", placeholder: "5GB" },
    { name: "quota.month", label: c.quotaMonth, kind: "text", placeholder: "100GB" },
    { name: "quota.total", label: c.quotaTotal, kind: "text" },
    { name: "countries", label: c.countries, kind: "list", placeholder: "DE, NL" },
    { name: "listeners", label: c.listeners, kind: "list", placeholder: "proxy" },
    { name: "options", label: c.options, kind: "text", placeholder: "country-de-sesstime-30" },
    { name: "connections", label: c.connections, kind: "number" },
    { name: "note", label: c.note, kind: "text", prose: true },
  ];
}

// What the user has moved today, this month and in all.
function Usage({ name }: { readonly name: string }) {
  const usage = useResource(`usage ${name}`, (signal) => value(api.GET("/api/v1/users/{name}/usage", { params: { path: { name } }, signal })), 5000);
  if (usage.value === undefined) return null;
  const { today, month, total } = usage.value;
  const c = t().users;
  const moved = ({ up, down }: { up: number; down: number }) => (
    <>
      <bdi>↓ {bytes(down)}</bdi> <bdi>↑ {bytes(up)}</bdi>
    </>
  );
  return (
    <dl class="facts">
      <dt>{c.today}</dt>
      <dd>{moved(today)}</dd>
      <dt>{c.month}</dt>
      <dd>{moved(month)}</dd>
      <dt>{c.total}</dt>
      <dd>{moved(total)}</dd>
    </dl>
  );
}

export function UsersScreen() {
  const c = t().users;
  return (
    <ObjectsScreen
      kind="user"
      name="users"
      label={t().screens.users}
      add={c.add}
      empty={c.empty}
      columns={columns()}
      fields={fields}
      actionsWidth="8.2rem"
      details={(object) => (
        <>
          <Usage name={object.name} />
          <UserLinks user={object} />
        </>
      )}
      actions={(row, changed) => <ToggleButton kind="user" object={row} changed={changed} />}
    />
  );
}
