// Nodes that must not come back, whatever lists them.

import { api, value } from "../../api/client";
import type { Ban } from "../../api/types";
import { t } from "../../i18n";
import { dateTime, fromNow } from "../../lib/format";
import { useResource } from "../../lib/resource";
import { IconButton } from "../../ui/icon";
import { Empty } from "../../ui/states";
import { DataTable, type Column, type Filters } from "../../ui/table";
import { attempt } from "../../ui/toast";

function columns(): readonly Column<Ban>[] {
  return [
    { id: "name", label: t().nodes.name, width: "minmax(9rem, 2fr)", sort: (ban) => ban.name, text: (ban) => ban.name, cell: (ban) => <bdi>{ban.name}</bdi> },
    { id: "id", label: t().nodes.id, width: "minmax(9rem, 1fr)", priority: 2, text: (ban) => ban.id, cell: (ban) => <code>{ban.id}</code> },
    {
      id: "since",
      label: t().bans.since,
      width: "8rem",
      sort: (ban) => ban.since,
      text: (ban) => new Date(ban.since).toISOString(),
      cell: (ban) => <span title={dateTime(ban.since)}>{fromNow(ban.since)}</span>,
    },
  ];
}

const DAY_MS = 86_400_000;

function filters(): Filters<Ban> {
  const c = t().bans;
  return [
    {
      id: "age",
      label: c.since,
      options: [
        ["1", c.lastDay],
        ["7", c.lastWeek],
        ["30", c.lastMonth],
      ],
      matches: (ban, days) => ban.since > Date.now() - Number(days) * DAY_MS,
    },
  ];
}

export function NodeBans() {
  const bans = useResource("bans", (signal) => value(api.GET("/api/v1/bans", { signal })), 10_000);
  const lift = (id: string) => void attempt(() => value(api.DELETE("/api/v1/bans/{id}", { params: { path: { id } } })), t().bans.lifted).then(bans.reload);
  return (
    <DataTable
      name="bans"
      label={t().bans.nodes}
      columns={columns()}
      rows={bans.value}
      rowKey={(ban) => ban.id}
      filters={filters()}
      error={bans.error}
      reload={bans.reload}
      actions={(ban) => <IconButton label={t().bans.lift} of={ban.name} icon="lift" onClick={() => lift(ban.id)} />}
      actionsWidth="3rem"
      empty={<Empty text={t().bans.empty} />}
    />
  );
}
