// Where nodes come from, and what each source is worth.

import { useState } from "preact/hooks";

import { api, partly, value } from "../api/client";
import type { PreviewReport, PreviewRequest, StoredObject } from "../api/types";
import { fill, t, word } from "../i18n";
import { bytes, count, dateTime, duration, fromNow } from "../lib/format";
import { formatPlace } from "../lib/router";
import { Dialog } from "../ui/dialog";
import type { Field, Values } from "../ui/form";
import { IconButton } from "../ui/icon";
import type { Column } from "../ui/table";
import { attempt } from "../ui/toast";
import { toBody } from "./objects/api";
import { isEnabled, nameColumn, ObjectsScreen, originColumn } from "./objects";

const NEVER = <span class="muted">–</span>;

function numberColumn(id: string, label: string, priority: 1 | 2 | 3, read: (row: StoredObject) => number): Column<StoredObject> {
  return { id, label, width: "6rem", numeric: true, priority, sort: read, text: (row) => String(read(row)), cell: (row) => count(read(row)) };
}

function columns(): readonly Column<StoredObject>[] {
  const c = t().sources;
  const kind = (row: StoredObject) => row.status?.kind ?? "";
  return [
    nameColumn(c.name),
    { id: "kind", label: c.kind, width: "6rem", priority: 4, sort: kind, text: kind, cell: (row) => word(c.kinds, kind(row)) },
    numberColumn("nodes", c.nodes, 2, (row) => row.status?.nodes ?? 0),
    numberColumn("healthy", c.healthy, 1, (row) => row.status?.healthy ?? 0),
    numberColumn("exits", c.exits, 2, (row) => row.status?.exits ?? 0),
    numberColumn("unique", c.unique, 3, (row) => row.status?.unique_exits ?? 0),
    {
      id: "halfLife",
      label: c.halfLife,
      width: "6.5rem",
      priority: 4,
      sort: (row) => row.status?.half_life_s,
      text: (row) => String(row.status?.half_life_s ?? ""),
      cell: (row) => (row.status?.half_life_s ? duration(row.status.half_life_s) : NEVER),
    },
    {
      id: "read",
      label: c.read,
      width: "7rem",
      priority: 2,
      sort: (row) => row.status?.last_ok,
      text: (row) => (row.status?.last_ok ? new Date(row.status.last_ok).toISOString() : ""),
      cell: (row) => (row.status?.last_ok ? <span title={dateTime(row.status.last_ok)}>{fromNow(row.status.last_ok)}</span> : NEVER),
    },
    { id: "quota", label: c.quota, width: "6rem", priority: 4, text: (row) => String(row.status?.subscription?.left ?? ""), cell: (row) => (row.status?.subscription?.left ? bytes(row.status.subscription.left) : NEVER) },
    originColumn(),
    {
      id: "error",
      label: c.error,
      width: "minmax(5rem, 1fr)",
      priority: 2,
      text: (row) => row.problem ?? row.status?.error ?? "",
      cell: (row) => (
        <span class={isEnabled(row) ? "bad" : "muted"} title={row.problem ?? row.status?.error_text ?? ""}>
          {row.problem ?? row.status?.error ?? (isEnabled(row) ? "" : c.paused)}
        </span>
      ),
    },
  ];
}

function fields(object: StoredObject | undefined): readonly Field[] {
  const c = t().sources;
  const fresh: readonly Field[] = [{ name: "name", label: c.name, kind: "text", required: true }];
  return [
    ...(object === undefined ? fresh : []),
    { name: "url", label: c.url, kind: "text", placeholder: "https://example.org/sub/…" },
    { name: "github", label: "GitHub", kind: "text", placeholder: "owner/repository" },
    { name: "telegram", label: c.kinds.telegram, kind: "text", placeholder: "channel" },
    { name: "file", label: c.file, kind: "text", placeholder: "/etc/hezar/list.txt" },
    { name: "links", label: c.links, kind: "lines", placeholder: "vless://…" },
    { name: "tor", label: c.circuits, kind: "number" },
    { name: "hezar", label: c.kinds.hezar, kind: "text", placeholder: "https://other.example:9090" },
    { name: "token", label: c.token, kind: "secret" },
    { name: "interval", label: c.interval, kind: "text", placeholder: "30m" },
    { name: "via", label: c.via, kind: "select", options: [["auto", c.vias.auto], ["direct", c.vias.direct], ["pool", c.vias.pool]] },
    { name: "tags", label: c.tags, kind: "list" },
    { name: "enabled", label: c.enabled, kind: "check" },
    { name: "allow_private", label: t().start.allowPrivate, kind: "check" },
  ];
}

function Buttons({ source, changed }: { readonly source: StoredObject; readonly changed: () => void }) {
  const [preview, setPreview] = useState<PreviewReport | undefined>(undefined);
  const c = t().sources;
  const params = { params: { path: { name: source.name } } };
  const paused = !isEnabled(source);
  const run = (action: () => Promise<unknown>, said?: string) => void attempt(action, said).then(changed);
  return (
    <>
      <IconButton label={c.refresh} of={source.name} icon="refresh" disabled={paused} onClick={() => run(() => value(api.POST("/api/v1/sources/{name}/refresh", params)), c.refreshed)} />
      <IconButton label={c.test} of={source.name} icon="view" onClick={() => run(async () => setPreview(await value(api.POST("/api/v1/sources/{name}/test", params))))} />
      <IconButton
        label={paused ? c.resume : c.pause}
        of={source.name}
        icon={paused ? "play" : "pause"}
        disabled={source.origin !== "store"}
        onClick={() => run(() => value(api.POST(paused ? "/api/v1/sources/{name}/resume" : "/api/v1/sources/{name}/pause", params)))}
      />
      {preview && (
        <Dialog title={source.name} onClose={() => setPreview(undefined)}>
          <Preview report={preview} />
        </Dialog>
      )}
    </>
  );
}

export function Preview({ report }: { readonly report: PreviewReport }) {
  const c = t().sources;
  return (
    <div class="stack">
      <p>{fill(c.previewText, { nodes: count(report.nodes), known: count(report.known), refused: count(report.refused) })}</p>
      <p class="row">
        {Object.entries(report.schemes).map(([scheme, number]) => (
          <span key={scheme} class="badge plain">
            {scheme} {count(number)}
          </span>
        ))}
      </p>
      <ul class="plain">
        {report.refusals.slice(0, 20).map((refusal) => (
          <li key={refusal.line}>
            {fill(t().start.line, { n: count(refusal.line) })} <code class="bad">{refusal.reject}</code> <bdi class="muted">{refusal.excerpt}</bdi>
          </li>
        ))}
      </ul>
    </div>
  );
}

// What a source would give that is not made yet.
async function preview(given: Values) {
  const { name: _, ...source } = toBody(given);
  const body = partly<PreviewRequest>({ source });
  return <Preview report={await value(api.POST("/api/v1/sources/preview", { body }))} />;
}

export function SourcesScreen() {
  const c = t().sources;
  return (
    <ObjectsScreen
      kind="source"
      name="sources"
      label={t().screens.sources}
      add={c.add}
      empty={c.empty}
      columns={columns()}
      fields={fields}
      tryOut={{ label: c.preview, run: preview }}
      actions={(row, changed) => <Buttons source={row} changed={changed} />}
      actionsWidth="12.6rem"
      actionsOnlyWide
      details={(row) => (
        <p>
          <a href={formatPlace("nodes", { source: row.name })}>{fill(c.showNodes, { n: count(row.status?.nodes ?? 0) })}</a>{" "}
          {row.status?.error && (
            <>
              <code class="bad">{row.status.error}</code> <bdi class="muted">{row.status.error_text}</bdi>
            </>
          )}
        </p>
      )}
    />
  );
}
