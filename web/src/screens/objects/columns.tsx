// Columns that the tables of objects share.

import type { StoredObject } from "../../api/types";
import { fill, t } from "../../i18n";
import { setQuery } from "../../lib/router";
import type { Column } from "../../ui/table";
import { toValues } from "./api";

// A member of the object's value by its name as fields have it, such as `quota.day`.
export function member(object: StoredObject, name: string): unknown {
  return toValues(object.value)[name];
}

export function text(object: StoredObject, name: string): string {
  const given = member(object, name);
  return given === null || given === undefined ? "" : Array.isArray(given) ? given.join(", ") : String(given);
}

export function isEnabled(object: StoredObject): boolean {
  return member(object, "enabled") !== false;
}

// Where an object is defined: in a line of the configuration file, or in the store.
export function Origin({ object }: { readonly object: StoredObject }) {
  const c = t().objects;
  if (object.origin === "store") return <span class="muted">{c.store}</span>;
  return <span class="badge plain">{object.line ? fill(c.fileLine, { n: object.line }) : c.file}</span>;
}

export function nameColumn(label: string): Column<StoredObject> {
  return {
    id: "name",
    label,
    width: "minmax(8rem, 2fr)",
    text: (row) => row.name,
    cell: (row) => (
      <button type="button" class="link" onClick={() => setQuery({ open: row.name })}>
        <bdi>{row.name}</bdi>
      </button>
    ),
  };
}

export function textColumn(name: string, label: string, priority: 2 | 3 | 4): Column<StoredObject> {
  const read = (row: StoredObject) => text(row, name);
  return { id: name, label, width: "minmax(5rem, 1fr)", priority, text: read, cell: (row) => (read(row) === "" ? <span class="muted">–</span> : <bdi title={read(row)}>{read(row)}</bdi>) };
}

export function enabledColumn(): Column<StoredObject> {
  const c = t().objects;
  return {
    id: "enabled",
    label: c.state,
    width: "6.5rem",
    sort: (row) => Number(isEnabled(row)),
    text: (row) => (isEnabled(row) ? c.on : c.off),
    cell: (row) => <span class={isEnabled(row) ? "badge good" : "badge plain"}>{isEnabled(row) ? c.on : c.off}</span>,
  };
}

export function originColumn(): Column<StoredObject> {
  return { id: "origin", label: t().objects.origin, width: "8rem", priority: 3, text: (row) => row.origin, cell: (row) => <Origin object={row} /> };
}

export function problemColumn(): Column<StoredObject> {
  return {
    id: "problem",
    label: t().objects.problem,
    width: "minmax(5rem, 1fr)",
    priority: 2,
    text: (row) => row.problem ?? "",
    cell: (row) => (row.problem ? <span class="bad" title={row.problem}>{row.problem}</span> : <span class="muted">–</span>),
  };
}
