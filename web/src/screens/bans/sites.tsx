// Exits that are not used for a site for a time: by hand, or by a rule of a listener.

import { useState } from "preact/hooks";

import { api, partly, value } from "../../api/client";
import type { SiteBan, SiteBanRequest, SiteBansFilter } from "../../api/types";
import { fill, t } from "../../i18n";
import { count, dateTime, fromNow } from "../../lib/format";
import { useParts } from "../../lib/parts";
import { formatPlace, place, readQuery } from "../../lib/router";
import { Confirm, Dialog } from "../../ui/dialog";
import { Form, type Field } from "../../ui/form";
import { IconButton } from "../../ui/icon";
import { Empty } from "../../ui/states";
import { DataTable, type Column, type Filters } from "../../ui/table";
import { attempt } from "../../ui/toast";

const REFRESH_MS = 10_000;
const HOUR_S = 3600;
const DURATIONS = [1, 6, 24, 168, 720] as const;

function columns(): readonly Column<SiteBan>[] {
  const c = t().bans;
  const moment = (at: number) => <span title={dateTime(at)}>{fromNow(at)}</span>;
  return [
    { id: "site", label: c.site, width: "minmax(8rem, 1.5fr)", sort: "server", text: (ban) => ban.site, cell: (ban) => <bdi>{ban.site}</bdi> },
    {
      id: "exit",
      label: c.exit,
      width: "minmax(8rem, 1fr)",
      sort: "server",
      text: (ban) => ban.exit,
      cell: (ban) => (
        <a href={formatPlace("nodes", { exit: ban.exit })}>
          <code dir="ltr">{ban.exit}</code>
        </a>
      ),
    },
    { id: "until", label: c.until, width: "7.5rem", priority: 2, sort: "server", text: (ban) => new Date(ban.until).toISOString(), cell: (ban) => moment(ban.until) },
    { id: "since", label: c.since, width: "7.5rem", priority: 3, sort: "server", text: (ban) => new Date(ban.since).toISOString(), cell: (ban) => moment(ban.since) },
    { id: "reason", label: c.reason, width: "minmax(7rem, 2fr)", priority: 2, text: (ban) => ban.reason, cell: (ban) => <bdi title={ban.reason}>{ban.reason}</bdi> },
  ];
}

function filters(): Filters<SiteBan> {
  const c = t().bans;
  return [
    { id: "site", label: c.site, placeholder: "example.org" },
    { id: "exit", label: c.exit, placeholder: "203.0.113.7" },
  ];
}

export function SiteBans() {
  const { sort, ...filter } = readQuery(place.value.query, { site: "site", exit: "exit", q: "search", sort: "sort" });
  const parts = useParts(
    JSON.stringify([filter, sort]),
    (part, signal) => value(api.GET("/api/v1/bans/sites", { params: { query: { ...filter, ...(sort ? { sort } : {}), ...part } }, signal })),
    REFRESH_MS,
  );
  const [asking, setAsking] = useState<"add" | "lift" | undefined>(undefined);
  const c = t().bans;
  const close = () => setAsking(undefined);
  const lift = (id: string) => void attempt(() => value(api.DELETE("/api/v1/bans/sites/{id}", { params: { path: { id } } })), c.lifted).then(parts.reload);
  const liftAll = () => void attempt(() => value(api.DELETE("/api/v1/bans/sites", { body: partly<SiteBansFilter>(filter) })), c.lifted).then(parts.reload);
  return (
    <>
      <p class="help">{c.sitesHelp}</p>
      <DataTable
        name="site-bans"
        label={c.sites}
        columns={columns()}
        rows={parts.rows}
        rowKey={(ban) => ban.id}
        filters={filters()}
        error={parts.error}
        reload={parts.reload}
        server={parts}
        actions={(ban) => <IconButton label={c.lift} of={ban.id} icon="lift" onClick={() => lift(ban.id)} />}
        actionsWidth="3rem"
        toolbar={
          <>
            {/* All of a filter, never all that there are. */}
            <button type="button" disabled={!parts.total || Object.keys(filter).length === 0} onClick={() => setAsking("lift")}>
              {c.liftAll}
            </button>
            <button type="button" class="primary" onClick={() => setAsking("add")}>
              {c.add}
            </button>
          </>
        }
        empty={<Empty text={c.sitesEmpty} />}
      />
      {asking === "add" && <AddSiteBan onClose={close} onDone={parts.reload} />}
      {asking === "lift" && <Confirm title={c.liftAll} text={fill(c.liftAllText, { n: count(parts.total ?? 0) })} action={c.lift} onConfirm={liftAll} onClose={close} />}
    </>
  );
}

interface AddProps {
  readonly onClose: () => void;
  readonly onDone: () => void;
  // The node whose exit is meant; without it an address is asked for.
  readonly node?: string;
  readonly site?: string;
}

export function AddSiteBan({ onClose, onDone, node, site }: AddProps) {
  const c = t().bans;
  const exit: Field = { name: "exit", label: c.exit, kind: "text", required: true, placeholder: "203.0.113.7" };
  const fields: readonly Field[] = [
    { name: "site", label: c.site, kind: "text", required: true, placeholder: "example.org", hint: c.siteHint },
    ...(node === undefined ? [exit] : []),
    { name: "hours", label: c.duration, kind: "select", options: DURATIONS.map((hours) => [String(hours), hours < 48 ? fill(c.hours, { n: count(hours) }) : fill(c.days, { n: count(hours / 24) })] as const) },
    { name: "reason", label: c.reason, kind: "text", prose: true },
  ];
  return (
    <Dialog title={c.add} onClose={onClose}>
      <Form
        fields={fields}
        initial={{ hours: "1", site: site ?? null }}
        action={c.add}
        onCancel={onClose}
        onSubmit={async (given) => {
          const { hours = "1", ...named } = given;
          const said = Object.fromEntries(Object.entries({ site, node, ...named }).filter(([, member]) => member !== null && member !== undefined));
          const body = { ...said, seconds: Number(hours) * HOUR_S } as SiteBanRequest;
          await value(api.POST("/api/v1/bans/sites", { body }));
          onClose();
          onDone();
        }}
      />
    </Dialog>
  );
}
