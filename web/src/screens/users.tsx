// Who may use the proxy: until when, how much, and with which exits.

import { api, value } from "../api/client";
import type { StoredObject } from "../api/types";
import { t } from "../i18n";
import { bytes } from "../lib/format";
import { useResource } from "../lib/resource";
import type { Field } from "../ui/form";
import { IconButton } from "../ui/icon";
import type { Column } from "../ui/table";
import { attempt } from "../ui/toast";
import { changeObject } from "./objects/api";
import { member, nameColumn, ObjectsScreen, originColumn, problemColumn, text } from "./objects";

function columns(): readonly Column<StoredObject>[] {
  const c = t().users;
  const isOn = (row: StoredObject) => member(row, "enabled") !== false;
  const quota = (row: StoredObject) => text(row, "quota.month") || text(row, "quota.day") || text(row, "quota.total");
  return [
    nameColumn(c.name),
    {
      id: "enabled",
      label: c.state,
      width: "7rem",
      sort: (row) => Number(isOn(row)),
      text: (row) => String(isOn(row)),
      cell: (row) => <span class={isOn(row) ? "badge good" : "badge plain"}>{isOn(row) ? c.on : c.off}</span>,
    },
    { id: "expires", label: c.expires, width: "minmax(7rem, 1fr)", priority: 2, sort: (row) => text(row, "expires"), text: (row) => text(row, "expires"), cell: (row) => <bdi>{text(row, "expires")}</bdi> },
    { id: "quota", label: c.quota, width: "7rem", priority: 2, text: quota, cell: (row) => <bdi>{quota(row)}</bdi> },
    { id: "countries", label: c.countries, width: "minmax(5rem, 1fr)", priority: 3, text: (row) => text(row, "countries"), cell: (row) => <bdi>{text(row, "countries")}</bdi> },
    { id: "note", label: c.note, width: "minmax(6rem, 1fr)", priority: 3, text: (row) => text(row, "note"), cell: (row) => <bdi>{text(row, "note")}</bdi> },
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
      details={(object) => <Usage name={object.name} />}
      actions={(row, changed) => {
        const on = member(row, "enabled") !== false;
        return (
          <IconButton
            label={on ? c.disable : c.enable}
            of={row.name}
            icon="⏻"
            pressed={!on}
            disabled={row.origin !== "store"}
            onClick={() => void attempt(() => changeObject("user", row.name, { enabled: !on })).then(changed)}
          />
        );
      }}
    />
  );
}
