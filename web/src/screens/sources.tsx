// Where nodes come from, and what each source is worth.

import { api, partly, value } from "../api/client";
import { live } from "../api/events";
import type { FetchRequest, Source } from "../api/types";
import { t, word } from "../i18n";
import { bytes, count, dateTime, duration, fromNow } from "../lib/format";
import { formatPlace } from "../lib/router";
import { IconButton } from "../ui/icon";
import { Empty } from "../ui/states";
import { DataTable, type Column } from "../ui/table";
import { attempt } from "../ui/toast";

function columns(): readonly Column<Source>[] {
  const c = t().sources;
  return [
    {
      id: "name",
      label: c.name,
      width: "minmax(9rem, 2fr)",
      sort: (source) => source.name,
      text: (source) => source.name,
      cell: (source) => (
        <a href={formatPlace("nodes", { source: source.name })}>
          <bdi>{source.name}</bdi>
        </a>
      ),
    },
    { id: "kind", label: c.kind, width: "6rem", priority: 2, sort: (source) => source.kind, text: (source) => source.kind, cell: (source) => word(c.kinds, source.kind) },
    { id: "nodes", label: c.nodes, width: "5rem", numeric: true, priority: 2, sort: (source) => source.nodes, text: (source) => String(source.nodes), cell: (source) => count(source.nodes) },
    {
      id: "healthy",
      label: c.healthy,
      width: "5.5rem",
      numeric: true,
      sort: (source) => source.healthy,
      text: (source) => String(source.healthy),
      cell: (source) => <span class={source.healthy > 0 ? "good" : "muted"}>{count(source.healthy)}</span>,
    },
    { id: "exits", label: c.exits, width: "5rem", numeric: true, priority: 2, sort: (source) => source.exits ?? 0, text: (source) => String(source.exits ?? 0), cell: (source) => count(source.exits ?? 0) },
    {
      id: "unique",
      label: c.unique,
      width: "6rem",
      numeric: true,
      priority: 3,
      sort: (source) => source.unique_exits ?? 0,
      text: (source) => String(source.unique_exits ?? 0),
      cell: (source) => count(source.unique_exits ?? 0),
    },
    {
      id: "halfLife",
      label: c.halfLife,
      width: "6rem",
      priority: 3,
      sort: (source) => source.half_life_s,
      text: (source) => String(source.half_life_s ?? ""),
      cell: (source) => (source.half_life_s ? duration(source.half_life_s) : <span class="muted">–</span>),
    },
    {
      id: "read",
      label: c.read,
      width: "7rem",
      priority: 2,
      sort: (source) => source.last_ok,
      text: (source) => (source.last_ok ? new Date(source.last_ok).toISOString() : ""),
      cell: (source) => (source.last_ok ? <span title={dateTime(source.last_ok)}>{fromNow(source.last_ok)}</span> : <span class="muted">{c.never}</span>),
    },
    {
      id: "quota",
      label: c.quota,
      width: "8rem",
      priority: 3,
      text: (source) => (source.subscription?.left !== undefined && source.subscription.left !== null ? String(source.subscription.left) : ""),
      cell: (source) => <Quota source={source} />,
    },
    {
      id: "error",
      label: c.error,
      width: "minmax(6rem, 1.2fr)",
      text: (source) => source.error ?? "",
      cell: (source) => <span class="bad" title={source.error_text ?? ""}>{source.error ?? ""}</span>,
    },
  ];
}

function Quota({ source }: { readonly source: Source }) {
  const { left, total, expires } = source.subscription ?? {};
  return (
    <span class="muted" title={expires ? dateTime(expires) : ""}>
      {left !== undefined && left !== null ? `${bytes(left)}${total ? ` / ${bytes(total)}` : ""}` : ""}
    </span>
  );
}

export async function refreshSource(name: string): Promise<void> {
  await value(api.POST("/api/v1/fetch", { body: partly<FetchRequest>({ sources: [name], wait: 20 }) }));
  await live.refresh();
}

export function SourcesScreen() {
  return (
    <DataTable
      name="sources"
      label={t().screens.sources}
      columns={columns()}
      rows={live.status.value?.sources}
      rowKey={(source) => source.name}
      error={live.failure.value}
      reload={() => void live.refresh()}
      actions={(source) => (
        <IconButton label={t().sources.refresh} of={source.name} icon="↻" onClick={() => void attempt(() => refreshSource(source.name), t().sources.refreshed)} />
      )}
      actionsWidth="3rem"
      empty={
        <Empty text={t().sources.empty}>
          <a href={formatPlace("start")}>{t().nodes.add}</a>
        </Empty>
      }
    />
  );
}
