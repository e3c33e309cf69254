// The instances that share the store: what each does, how it is, and taking one out of use.

import { useState } from "preact/hooks";

import { api, value } from "../api/client";
import type { Instance } from "../api/types";
import { fill, t, word } from "../i18n";
import { bytes, count, dateTime, fromNow, milliseconds, percent } from "../lib/format";
import { useResource } from "../lib/resource";
import { Confirm } from "../ui/dialog";
import { IconButton } from "../ui/icon";
import { Empty } from "../ui/states";
import { DataTable, valueFilter, type Column, type Filters } from "../ui/table";
import { attempt } from "../ui/toast";

const REFRESH_MS = 2000;
const COLORS: Readonly<Record<string, string>> = { living: "good", draining: "blue", gone: "bad" };
const UNKNOWN = <span class="muted">–</span>;

function numberColumn(id: string, label: string, priority: 1 | 2 | 3 | 4, read: (row: Instance) => number | null | undefined, show: (value: number) => string = count): Column<Instance> {
  return {
    id,
    label,
    width: "6rem",
    numeric: true,
    priority,
    sort: (row) => read(row) ?? -1,
    text: (row) => String(read(row) ?? ""),
    cell: (row) => {
      const number = read(row);
      return number === null || number === undefined ? UNKNOWN : show(number);
    },
  };
}

const roles = (row: Instance) => row.roles.map((role) => word(t().instances.roleNames, role)).join(", ");

function columns(): readonly Column<Instance>[] {
  const c = t().instances;
  return [
    {
      id: "name",
      label: c.name,
      width: "minmax(8rem, 1.5fr)",
      text: (row) => row.name,
      cell: (row) => (
        <bdi title={`${row.host} · ${row.pid}`}>
          {row.name} {row.own && <span class="badge plain">{c.own}</span>}
        </bdi>
      ),
    },
    { id: "state", label: c.state, width: "7rem", text: (row) => row.state, cell: (row) => <span class={`badge ${COLORS[row.state] ?? "plain"}`}>{word(c.states, row.state)}</span> },
    { id: "roles", label: c.roles, width: "minmax(7rem, 1fr)", priority: 2, text: roles, cell: roles },
    { id: "region", label: c.region, width: "5.5rem", priority: 3, text: (row) => row.region, cell: (row) => (row.region === "" ? UNKNOWN : <bdi>{row.region}</bdi>) },
    numberColumn("tunnels", c.tunnels, 2, (row) => row.tunnels),
    numberColumn("owned", c.owned, 2, (row) => row.owned),
    numberColumn("routable", c.routable, 4, (row) => row.routable),
    numberColumn("lag", c.lag, 3, (row) => row.lag_ms, milliseconds),
    numberColumn("queue", c.queue, 3, (row) => row.queue),
    numberColumn("claims", c.claims, 4, (row) => row.claims),
    numberColumn("cpu", c.cpu, 3, (row) => row.cpu_percent, (value) => percent(value / 100)),
    numberColumn("memory", c.memory, 4, (row) => row.memory_bytes, bytes),
    { id: "version", label: c.version, width: "5.5rem", priority: 3, text: (row) => row.version, cell: (row) => <span dir="ltr">{row.version}</span> },
    {
      id: "seen",
      label: c.seen,
      width: "7.5rem",
      priority: 4,
      sort: (row) => row.seen,
      text: (row) => new Date(row.seen).toISOString(),
      cell: (row) => <span title={dateTime(row.seen)}>{fromNow(row.seen)}</span>,
    },
  ];
}

function filters(rows: readonly Instance[] | undefined): Filters<Instance> {
  const c = t().instances;
  return [
    valueFilter("state", c.state, rows, (row) => row.state, (state) => word(c.states, state)),
    valueFilter("region", c.region, rows, (row) => row.region, (region) => (region === "" ? "–" : region)),
  ];
}

export function InstancesScreen() {
  const c = t().instances;
  const instances = useResource("instances", (signal) => value(api.GET("/api/v1/instances", { signal })), REFRESH_MS);
  const [asking, setAsking] = useState<string | undefined>(undefined);
  const params = (name: string) => ({ params: { path: { name } } });
  const drain = (name: string) => void attempt(() => value(api.POST("/api/v1/instances/{name}/drain", params(name))), fill(c.drained, { name })).then(instances.reload);
  const undrain = (name: string) => void attempt(() => value(api.POST("/api/v1/instances/{name}/undrain", params(name))), fill(c.undrained, { name })).then(instances.reload);
  return (
    <>
      <DataTable
        name="instances"
        label={t().screens.instances}
        columns={columns()}
        rows={instances.value}
        rowKey={(row) => row.name}
        filters={filters(instances.value)}
        error={instances.error}
        reload={instances.reload}
        actions={(row) =>
          row.state === "draining" ? (
            <IconButton label={c.undrain} of={row.name} icon="play" onClick={() => undrain(row.name)} />
          ) : (
            <IconButton label={c.drain} of={row.name} icon="pause" disabled={row.state === "gone"} onClick={() => setAsking(row.name)} />
          )
        }
        actionsWidth="3rem"
        empty={<Empty text={c.empty} />}
      />
      {asking !== undefined && (
        <Confirm title={c.drain} text={fill(c.drainText, { name: asking })} action={c.drain} onConfirm={() => drain(asking)} onClose={() => setAsking(undefined)} />
      )}
    </>
  );
}
