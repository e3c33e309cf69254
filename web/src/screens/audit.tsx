// Who changed what, when and how: the newest 10,000 changes.

import { useState } from "preact/hooks";

import type { AuditLine } from "../api/types";
import { api, value } from "../api/client";
import { t, word } from "../i18n";
import { dateTime, fromNow } from "../lib/format";
import { useParts } from "../lib/parts";
import { place, readQuery } from "../lib/router";
import { Empty } from "../ui/states";
import { Dialog } from "../ui/dialog";
import { IconButton } from "../ui/icon";
import { DataTable, type Column, type Filters } from "../ui/table";

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

function filters(): Filters<AuditLine> {
  const c = t().audit;
  return [
    { id: "kind", label: c.kind, options: KINDS.map((kind) => [kind, word(c.kinds, kind)] as const) },
    { id: "who", label: c.who, placeholder: "token" },
  ];
}

export function AuditScreen() {
  const asked = readQuery(place.value.query, { kind: "kind", who: "who", q: "name" });
  const parts = useParts(
    JSON.stringify(asked),
    (part, signal) => value(api.GET("/api/v1/audit", { params: { query: { ...asked, ...part } }, signal })),
    10_000,
  );
  const [shown, setShown] = useState<AuditLine | undefined>(undefined);
  return (
    <>
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
        actions={(row) => <IconButton label={t().audit.details} of={row.name} icon="view" onClick={() => setShown(row)} />}
        actionsWidth="3rem"
        empty={<Empty text={t().audit.empty} />}
      />
      {shown && <Change line={shown} onClose={() => setShown(undefined)} />}
    </>
  );
}

function Change({ line, onClose }: { readonly line: AuditLine; readonly onClose: () => void }) {
  const c = t().audit;
  const pretty = (given: unknown) => (given === null || given === undefined ? c.nothing : typeof given === "string" ? given : JSON.stringify(given, undefined, 2));
  return (
    <Dialog title={`${word(c.kinds, line.kind)} ${line.name}`} onClose={onClose} wide>
      <p class="muted">
        {dateTime(line.at)} · <bdi>{line.who}</bdi> · {word(c.vias, line.via)} · {word(c.actions, line.action)}
      </p>
      <div class="columns">
        {([[c.old, line.old], [c.new, line.new]] as const).map(([label, given]) => (
          <section key={label} aria-label={label}>
            <h3>{label}</h3>
            <pre class="value" dir="ltr" tabIndex={0}>
              {pretty(given)}
            </pre>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
