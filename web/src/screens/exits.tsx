// The addresses that sites see: how many nodes are behind each, and where it is.

import { api, value } from "../api/client";
import type { Exit } from "../api/types";
import { t } from "../i18n";
import { countries } from "../lib/countries";
import { count } from "../lib/format";
import { useParts } from "../lib/parts";
import { formatPlace, place, readNumber, readQuery } from "../lib/router";
import { Country, Latency } from "../ui/node";
import { Empty } from "../ui/states";
import { DataTable, type Column, type Filters } from "../ui/table";

function columns(): readonly Column<Exit>[] {
  const c = t().exits;
  return [
    {
      id: "ip",
      label: c.address,
      width: "minmax(8rem, 1.4fr)",
      sort: "server",
      text: (row) => row.ip,
      cell: (row) => (
        <a href={formatPlace("nodes", { exit: row.ip })}>
          <code dir="ltr">{row.ip}</code>
        </a>
      ),
    },
    { id: "country", label: c.country, width: "minmax(7rem, 1fr)", sort: "server", text: (row) => row.country ?? "", cell: (row) => <Country code={row.country} /> },
    { id: "network", label: c.network, width: "minmax(8rem, 1fr)", priority: 2, text: (row) => row.network, cell: (row) => <code dir="ltr">{row.network}</code> },
    { id: "asn", label: t().nodes.asn, width: "6rem", priority: 3, numeric: true, text: (row) => (row.asn ? `AS${row.asn}` : ""), cell: (row) => (row.asn ? <code dir="ltr">AS{row.asn}</code> : <span class="muted">–</span>) },
    { id: "nodes", label: c.nodes, width: "5rem", numeric: true, priority: 2, sort: "server", text: (row) => String(row.nodes), cell: (row) => count(row.nodes) },
    { id: "healthy", label: c.healthy, width: "6rem", numeric: true, sort: "server", text: (row) => String(row.healthy), cell: (row) => <span class={row.healthy > 0 ? "good" : "muted"}>{count(row.healthy)}</span> },
    { id: "latency", label: c.latency, width: "6.5rem", numeric: true, priority: 2, sort: "server", text: (row) => String(row.latency_ms ?? ""), cell: (row) => <Latency ms={row.latency_ms} /> },
  ];
}

function filters(): Filters<Exit> {
  const c = t().exits;
  return [
    { id: "country", label: c.country, options: countries() },
    { id: "network", label: c.network, placeholder: "192.0.2.0/24" },
    { id: "asn", label: t().nodes.asn, placeholder: "13335" },
  ];
}

export function ExitsScreen() {
  const given = place.value.query;
  const asked = { ...readQuery(given, { country: "country", network: "network", q: "search", sort: "sort" }), ...readNumber(given, "asn") };
  const parts = useParts(
    JSON.stringify(asked),
    (part, signal) => value(api.GET("/api/v1/exits", { params: { query: { ...asked, sort: asked.sort ?? "-healthy", ...part } }, signal })),
    10_000,
  );
  return (
    <DataTable
      name="exits"
      label={t().screens.exits}
      columns={columns()}
      rows={parts.rows}
      rowKey={(row) => row.ip}
      filters={filters()}
      error={parts.error}
      reload={parts.reload}
      server={parts}
      empty={<Empty text={t().exits.empty} />}
    />
  );
}
