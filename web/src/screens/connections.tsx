// Requests, tunnels and associations that are alive, with what flows through them.

import { useState } from "preact/hooks";

import { api, partly, value } from "../api/client";
import type { Connection, ConnectionsFilter } from "../api/types";
import { fill, t } from "../i18n";
import { bytes, count, dateTime, duration, rate } from "../lib/format";
import { useParts } from "../lib/parts";
import { formatPlace, place, readQuery } from "../lib/router";
import { Confirm } from "../ui/dialog";
import { IconButton } from "../ui/icon";
import { Address } from "../ui/node";
import { Empty } from "../ui/states";
import { DataTable, type Column, type Filters } from "../ui/table";
import { attempt } from "../ui/toast";

const REFRESH_MS = 2000;
const ENCRYPTED = ["shadowsocks", "trojan", "vless", "hysteria2", "anytls"];
const INBOUNDS = ["http", "connect", "socks4", "socks5", "socks5-udp", ...ENCRYPTED.flatMap((name) => [name, `${name}-udp`])];

function columns(): readonly Column<Connection>[] {
  const c = t().connections;
  return [
    { id: "target", label: c.target, width: "minmax(9rem, 2fr)", text: (row) => row.target ?? "", cell: (row) => <Address text={row.target} /> },
    { id: "user", label: c.user, width: "minmax(5rem, 1fr)", priority: 2, sort: "server", text: (row) => row.user, cell: (row) => <bdi>{row.user}</bdi> },
    { id: "client", label: c.client, width: "minmax(7rem, 1fr)", priority: 3, text: (row) => row.client, cell: (row) => <Address text={row.client} /> },
    { id: "inbound", label: c.inbound, width: "6rem", priority: 3, text: (row) => row.inbound, cell: (row) => <code>{row.inbound}</code> },
    {
      id: "node",
      label: c.node,
      width: "minmax(7rem, 1.2fr)",
      priority: 2,
      text: (row) => row.node_name ?? row.node ?? "",
      cell: (row) =>
        row.node ? (
          <a href={formatPlace("nodes", { node: row.node })}>
            <bdi>{row.node_name || row.node.slice(0, 12)}</bdi>
          </a>
        ) : (
          <span class="muted">–</span>
        ),
    },
    { id: "exit", label: c.exit, width: "minmax(7rem, 1fr)", priority: 3, text: (row) => row.exit_ip ?? "", cell: (row) => <Address text={row.exit_ip} /> },
    {
      id: "rate",
      label: c.rate,
      width: "7rem",
      numeric: true,
      sort: "server",
      text: (row) => String((row.up_rate ?? 0) + (row.down_rate ?? 0)),
      cell: (row) => (row.down_rate === null || row.down_rate === undefined ? <span class="muted">–</span> : rate((row.up_rate ?? 0) + row.down_rate)),
    },
    { id: "down", label: c.down, width: "6rem", numeric: true, priority: 2, sort: "server", text: (row) => String(row.down), cell: (row) => bytes(row.down) },
    { id: "up", label: c.up, width: "6rem", numeric: true, priority: 3, sort: "server", text: (row) => String(row.up), cell: (row) => bytes(row.up) },
    {
      id: "since",
      label: c.since,
      width: "6rem",
      priority: 2,
      sort: "server",
      text: (row) => new Date(row.since).toISOString(),
      cell: (row) => <span title={dateTime(row.since)}>{duration((Date.now() - row.since) / 1000)}</span>,
    },
  ];
}

function filters(): Filters<Connection> {
  const c = t().connections;
  return [
    { id: "inbound", label: c.inbound, options: INBOUNDS.map((name) => [name, name] as const) },
    { id: "user", label: c.user, placeholder: "alice" },
    { id: "listener", label: c.listener, placeholder: "proxy" },
    { id: "client", label: c.client, placeholder: "127.0.0.1" },
    { id: "node", label: c.node, placeholder: "4254ec" },
    { id: "exit", label: c.exit, placeholder: "203.0.113.7" },
  ];
}

export function ConnectionsScreen() {
  const { sort, ...filter } = readQuery(place.value.query, {
    inbound: "inbound",
    user: "user",
    listener: "listener",
    client: "client",
    node: "node",
    exit: "exit",
    q: "target",
    sort: "sort",
  });
  const parts = useParts(
    JSON.stringify([filter, sort]),
    (part, signal) => value(api.GET("/api/v1/connections", { params: { query: { ...filter, ...(sort ? { sort } : {}), ...part } }, signal })),
    REFRESH_MS,
  );
  const [asking, setAsking] = useState(false);
  const c = t().connections;
  const end = (id: number) => void attempt(() => value(api.DELETE("/api/v1/connections/{id}", { params: { path: { id } } })), c.ended).then(parts.reload);
  const endAll = () => void attempt(() => value(api.DELETE("/api/v1/connections", { body: partly<ConnectionsFilter>(filter) })), c.ended).then(parts.reload);
  return (
    <>
      <DataTable
        name="connections"
        label={t().screens.connections}
        columns={columns()}
        rows={parts.rows}
        rowKey={(row) => String(row.id)}
        filters={filters()}
        error={parts.error}
        reload={parts.reload}
        server={parts}
        actions={(row) => (
          <IconButton label={c.end} of={row.target ?? String(row.id)} icon="close" onClick={() => end(row.id)} />
        )}
        actionsWidth="3rem"
        toolbar={
          <button type="button" disabled={!parts.total} onClick={() => setAsking(true)}>
            {c.endAll}
          </button>
        }
        empty={<Empty text={c.empty} />}
      />
      {asking && (
        <Confirm title={c.endAll} text={fill(c.endAllText, { n: count(parts.total ?? 0) })} action={c.end} onConfirm={endAll} onClose={() => setAsking(false)} />
      )}
    </>
  );
}
