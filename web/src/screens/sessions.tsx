// Names that keep the same exit, and until when.

import { api, value } from "../api/client";
import type { Session } from "../api/types";
import { t } from "../i18n";
import { dateTime, fromNow } from "../lib/format";
import { useResource } from "../lib/resource";
import { formatPlace } from "../lib/router";
import { IconButton } from "../ui/icon";
import { Address } from "../ui/node";
import { Empty } from "../ui/states";
import { DataTable, valueFilter, type Column, type Filters } from "../ui/table";
import { attempt } from "../ui/toast";

function columns(): readonly Column<Session>[] {
  const c = t().sessions;
  return [
    { id: "session", label: c.session, width: "minmax(7rem, 1.5fr)", sort: (row) => row.session, text: (row) => row.session, cell: (row) => <bdi>{row.session}</bdi> },
    { id: "user", label: c.user, width: "minmax(6rem, 1fr)", sort: (row) => row.user, text: (row) => row.user, cell: (row) => <bdi>{row.user}</bdi> },
    { id: "exit", label: c.exit, width: "minmax(8rem, 1fr)", sort: (row) => row.exit_ip, text: (row) => row.exit_ip ?? "", cell: (row) => <Address text={row.exit_ip} /> },
    {
      id: "node",
      label: c.node,
      width: "8rem",
      priority: 2,
      text: (row) => row.node ?? "",
      cell: (row) =>
        row.node ? (
          <a href={formatPlace("nodes", { node: row.node })}>
            <code>{row.node.slice(0, 12)}</code>
          </a>
        ) : (
          <span class="muted">–</span>
        ),
    },
    { id: "country", label: c.country, width: "6rem", priority: 3, sort: (row) => row.country, text: (row) => row.country ?? "", cell: (row) => row.country ?? "" },
    { id: "listener", label: c.listener, width: "7rem", priority: 3, sort: (row) => row.listener, text: (row) => row.listener, cell: (row) => <bdi>{row.listener}</bdi> },
    {
      id: "ends",
      label: c.ends,
      width: "7.5rem",
      priority: 2,
      sort: (row) => row.ends,
      text: (row) => new Date(row.ends).toISOString(),
      cell: (row) => <span title={dateTime(row.ends)}>{fromNow(row.ends)}</span>,
    },
  ];
}

function filters(rows: readonly Session[] | undefined): Filters<Session> {
  const c = t().sessions;
  return [
    valueFilter("user", c.user, rows, (row) => row.user),
    valueFilter("listener", c.listener, rows, (row) => row.listener),
    valueFilter("country", c.country, rows, (row) => row.country ?? ""),
  ];
}

export function SessionsScreen() {
  const sessions = useResource("sessions", (signal) => value(api.GET("/api/v1/sessions", { signal })), 5000);
  const act = (action: () => Promise<unknown>, text: string) => void attempt(action, text).then(sessions.reload);
  return (
    <DataTable
      name="sessions"
      label={t().screens.sessions}
      columns={columns()}
      rows={sessions.value}
      rowKey={(row) => row.id}
      filters={filters(sessions.value)}
      error={sessions.error}
      reload={sessions.reload}
      actions={({ id, session }) => (
        <>
          <IconButton label={t().sessions.rotate} of={session} icon="swap" onClick={() => act(() => value(api.POST("/api/v1/sessions/{id}/rotate", { params: { path: { id } } })), t().sessions.rotated)} />
          <IconButton label={t().sessions.end} of={session} icon="remove" onClick={() => act(() => value(api.DELETE("/api/v1/sessions/{id}", { params: { path: { id } } })), t().sessions.ended)} />
        </>
      )}
      actionsWidth="5.4rem"
      empty={<Empty text={t().sessions.empty} />}
    />
  );
}
