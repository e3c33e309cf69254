// All nodes: chosen and ordered by the server, loaded in parts as the reader scrolls.

import { useEffect, useMemo } from "preact/hooks";

import { live } from "../../api/events";
import type { Node } from "../../api/types";
import { t, word } from "../../i18n";
import { countries } from "../../lib/countries";
import { bytes, count, fromNow, percent, rate } from "../../lib/format";
import { useParts } from "../../lib/parts";
import { formatPlace, place, setQuery } from "../../lib/router";
import { Code } from "../../ui/code";
import { Icon } from "../../ui/icon";
import { Address, Country, Latency, StateBadge } from "../../ui/node";
import { Empty } from "../../ui/states";
import { DataTable, type Column, type Filters } from "../../ui/table";
import { Bulk, RowActions } from "./actions";
import { NodeDialog } from "./detail";
import { loadNodes, readFilters } from "./query";

const REFRESH_MS = 15_000;
const FOLLOW_MS = 500;
const ANONYMITY = ["elite", "anonymous", "transparent"];
const STATES = ["healthy", "suspect", "new", "dead", "disabled", "quarantined", "unsupported"];

function columns(): readonly Column<Node>[] {
  const c = t().nodes;
  return [
    {
      id: "name",
      label: c.name,
      width: "minmax(7rem, 2.2fr)",
      sort: "server",
      text: (node) => node.name || node.server,
      cell: (node) => (
        <>
          {node.pinned && (
            <span class="mark" title={c.pinned}>
              <Icon sign="pin" />
            </span>
          )}
          <button type="button" class="link" onClick={() => setQuery({ node: node.id })}>
            <bdi>{node.name || node.server}</bdi>
          </button>
        </>
      ),
    },
    { id: "state", label: c.state, width: "7rem", sort: "server", text: (node) => node.state, cell: (node) => <StateBadge state={node.state} /> },
    {
      id: "latency",
      label: c.latency,
      width: "5rem",
      numeric: true,
      sort: "server",
      text: (node) => node.latency_ms?.toString() ?? "",
      cell: (node) => <Latency ms={node.latency_ms} />,
    },
    { id: "country", label: c.country, width: "minmax(7rem, 1fr)", priority: 2, sort: "server", text: (node) => node.country ?? "", cell: (node) => <Country code={node.country} /> },
    { id: "scheme", label: c.scheme, width: "6rem", priority: 2, text: (node) => node.scheme, cell: (node) => <code>{node.scheme}</code> },
    {
      id: "server",
      label: c.server,
      width: "minmax(8rem, 1.4fr)",
      priority: 3,
      text: (node) => `${node.server}:${node.port}`,
      cell: (node) => <Address text={`${node.server}:${node.port}`} />,
    },
    {
      id: "success",
      label: c.success,
      width: "5rem",
      priority: 4,
      numeric: true,
      sort: "server",
      text: (node) => node.success_rate?.toString() ?? "",
      cell: (node) => (node.success_rate === null || node.success_rate === undefined ? <span class="muted">–</span> : percent(node.success_rate)),
    },
    {
      id: "throughput",
      label: c.throughput,
      width: "7rem",
      priority: 4,
      numeric: true,
      sort: "server",
      text: (node) => node.throughput_bytes_per_second?.toString() ?? "",
      cell: (node) => (node.throughput_bytes_per_second ? rate(node.throughput_bytes_per_second) : <span class="muted">–</span>),
    },
    { id: "traffic", label: c.traffic, width: "6.5rem", priority: 5, numeric: true, sort: "server", text: (node) => String((node.up ?? 0) + (node.down ?? 0)), cell: (node) => bytes((node.up ?? 0) + (node.down ?? 0)) },
    { id: "in_flight", label: c.openShort, width: "4.5rem", priority: 5, numeric: true, sort: "server", text: (node) => String(node.in_flight), cell: (node) => count(node.in_flight) },
    { id: "tags", label: c.tags, width: "minmax(5rem, 1fr)", priority: 5, text: (node) => (node.tags ?? []).join(" "), cell: (node) => <bdi>{(node.tags ?? []).join(", ")}</bdi> },
    { id: "exit", label: c.exit, width: "minmax(8rem, 1fr)", priority: 3, text: (node) => node.exit_ip ?? "", cell: (node) => <Address text={node.exit_ip} /> },
    {
      id: "checked",
      label: c.checked,
      width: "6.5rem",
      priority: 3,
      sort: "server",
      text: (node) => (node.last_checked ? new Date(node.last_checked).toISOString() : ""),
      cell: (node) => (node.last_checked ? fromNow(node.last_checked) : <span class="muted">–</span>),
    },
    { id: "error", label: c.error, width: "minmax(6rem, 1fr)", priority: 4, text: (node) => node.last_error ?? "", cell: (node) => <Code code={node.last_error} /> },
  ];
}

function filters(): Filters<Node> {
  const c = t().nodes;
  const status = live.status.value;
  const schemes = Object.keys(status?.schemes ?? {}).sort();
  const sources = (status?.sources ?? []).map((source) => source.name);
  return [
    { id: "state", label: c.state, options: STATES.map((state) => [state, word(t().states, state)] as const) },
    { id: "scheme", label: c.scheme, options: schemes.map((name) => [name, name] as const) },
    { id: "source", label: c.source, options: sources.map((name) => [name, name] as const) },
    { id: "country", label: c.country, options: countries() },
    { id: "asn", label: c.asn, placeholder: "13335" },
    { id: "tag", label: c.tag, placeholder: "paid" },
    { id: "exit", label: c.exit, placeholder: "203.0.113.7" },
    { id: "anonymity", label: c.anonymity, options: ANONYMITY.map((level) => [level, word(c.anonymities, level)] as const) },
  ];
}

export function NodesScreen() {
  const query = place.value.query;
  const chosen = readFilters(query);
  const parts = useParts(JSON.stringify(chosen), (part, signal) => loadNodes(chosen, part, signal), REFRESH_MS);
  // Nodes change all the time while they are checked: the list follows in steps that a reader can follow.
  const changes = live.nodesChanged.value;
  useEffect(() => {
    const timer = setTimeout(parts.refresh, FOLLOW_MS);
    return () => clearTimeout(timer);
  }, [Math.floor(changes / 3), parts.refresh]);
  const opened = query.get("node");
  const shown = useMemo(() => columns(), [t()]);
  return (
    <>
      <DataTable
        name="nodes"
        label={t().screens.nodes}
        columns={shown}
        rows={parts.rows}
        rowKey={(node) => node.id}
        filters={filters()}
        error={parts.error}
        reload={parts.reload}
        server={parts}
        actions={(node) => <RowActions node={node} changed={parts.reload} />}
        actionsWidth="13.4rem"
        actionsOnlyWide
        toolbar={<Bulk filters={chosen} total={parts.total} changed={parts.reload} />}
        empty={
          <Empty text={t().nodes.empty}>
            <a href={formatPlace("start")}>{t().nodes.add}</a>
          </Empty>
        }
      />
      {opened !== null && <NodeDialog id={opened} onClose={() => setQuery({ node: undefined })} changed={parts.reload} />}
    </>
  );
}

