// Who changed what, when and how: the newest 10,000 changes.

import type { AuditLine } from "../api/types";
import { api, value } from "../api/client";
import { t, word } from "../i18n";
import { dateTime, fromNow } from "../lib/format";
import { useParts } from "../lib/parts";
import { place } from "../lib/router";
import { Empty } from "../ui/states";
import { DataTable, type Column, type Filter } from "../ui/table";

const KINDS = ["source", "listener", "user", "settings", "token", "subscription"];

function short(given: unknown): string {
  return given === null || given === undefined ? "" : typeof given === "string" ? given : JSON.stringify(given);
}

function columns(): readonly Column<AuditLine>[] {
  const c = t().audit;
  return [
    { id: "at", label: c.at, width: "7.5rem", text: (row) => new Date(row.at).toISOString(), cell: (row) => <span title={dateTime(row.at)}>{fromNow(row.at)}</span> },
    { id: "who", label: c.who, width: "minmax(6rem, 1fr)", priority: 2, text: (row) => `${row.who} (${row.via})`, cell: (row) => <span><bdi>{row.who}</bdi> <span class="muted">{word(c.vias, row.via)}</span></span> },
    { id: "action", label: c.action, width: "6rem", text: (row) => row.action, cell: (row) => word(c.actions, row.action) },
    { id: "name", label: c.name, width: "minmax(7rem, 1.2fr)", text: (row) => `${row.kind} ${row.name}`, cell: (row) => <span><span class="muted">{word(c.kinds, row.kind)}</span> <bdi>{row.name}</bdi></span> },
    { id: "old", label: c.old, width: "minmax(7rem, 1.5fr)", priority: 3, text: (row) => short(row.old), cell: (row) => <code dir="ltr" title={short(row.old)}>{short(row.old)}</code> },
    { id: "new", label: c.new, width: "minmax(7rem, 1.5fr)", priority: 2, text: (row) => short(row.new), cell: (row) => <code dir="ltr" title={short(row.new)}>{short(row.new)}</code> },
  ];
}

function filters(): readonly Filter<AuditLine>[] {
  return [{ id: "kind", label: t().audit.allKinds, options: KINDS.map((kind) => [kind, word(t().audit.kinds, kind)] as const) }];
}

export function AuditScreen() {
  const query = place.value.query;
  const kind = query.get("kind");
  const name = query.get("q");
  const parts = useParts(
    JSON.stringify([kind, name]),
    async (cursor, limit, signal) => {
      const asked = { limit, ...(kind ? { kind } : {}), ...(name ? { name } : {}), ...(cursor === undefined ? {} : { cursor }) };
      const page = await value(api.GET("/api/v1/audit", { params: { query: asked }, signal }));
      return { items: page.items, next: page.next ?? null };
    },
    10_000,
  );
  return (
    <DataTable
      name="audit"
      label={t().screens.audit}
      columns={columns()}
      rows={parts.rows}
      rowKey={(row) => String(row.id)}
      filters={filters()}
      error={parts.error}
      reload={parts.reload}
      server={parts}
      empty={<Empty text={t().audit.empty} />}
    />
  );
}
