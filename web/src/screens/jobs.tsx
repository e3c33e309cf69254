// Probes and reads of sources that somebody has asked for, with their progress and their results.

import type { Job } from "../api/types";
import { api, value } from "../api/client";
import { fill, t, word } from "../i18n";
import { count, dateTime, duration, fromNow, percent } from "../lib/format";
import { useResource } from "../lib/resource";
import { formatPlace } from "../lib/router";
import { Empty } from "../ui/states";
import { DataTable, valueFilter, type Column, type Filters } from "../ui/table";

const REFRESH_MS = 2000;
const COLORS: Readonly<Record<string, string>> = { running: "blue", done: "good", failed: "bad" };

function share({ state, progress }: Job): number {
  if (state === "done") return 1;
  return progress.total === 0 ? 0 : progress.done / progress.total;
}

function Progress({ job }: { readonly job: Job }) {
  const { done, total } = job.progress;
  return (
    <span class="progress" title={`${count(done)} / ${count(total)}`}>
      <span class={`bar ${COLORS[job.state] ?? "muted"}`} aria-hidden="true">
        <span style={{ width: `${100 * share(job)}%` }} />
      </span>
      <span class="muted">{percent(share(job))}</span>
    </span>
  );
}

// What came out of a job, in one line.
function outcome(job: Job): string {
  if (job.error) return job.error;
  const result = (typeof job.result === "object" && job.result !== null ? job.result : {}) as Record<string, unknown>;
  const c = t().jobs;
  const number = (name: string) => count(Number(result[name] ?? 0));
  if (job.kind === "probe" && "works" in result) return fill(c.probed, { works: number("works"), failed: number("failed") });
  if (job.kind === "fetch" && Array.isArray(result["sources"])) return fill(c.fetched, { n: count(result["sources"].length) });
  return "";
}

function columns(): readonly Column<Job>[] {
  const c = t().jobs;
  return [
    { id: "kind", label: c.kind, width: "minmax(7rem, 1fr)", text: (row) => word(c.kinds, row.kind), cell: (row) => word(c.kinds, row.kind) },
    { id: "state", label: c.state, width: "6.5rem", text: (row) => word(c.states, row.state), cell: (row) => <span class={`badge ${COLORS[row.state] ?? "plain"}`}>{word(c.states, row.state)}</span> },
    { id: "progress", label: c.progress, width: "minmax(7rem, 1.5fr)", sort: share, text: (row) => `${row.progress.done}/${row.progress.total}`, cell: (row) => <Progress job={row} /> },
    {
      id: "started",
      label: c.started,
      width: "7.5rem",
      priority: 2,
      sort: (row) => row.started,
      text: (row) => new Date(row.started).toISOString(),
      cell: (row) => <span title={dateTime(row.started)}>{fromNow(row.started)}</span>,
    },
    {
      id: "took",
      label: c.took,
      width: "6rem",
      priority: 3,
      sort: (row) => (row.ended ?? Date.now()) - row.started,
      text: (row) => String(((row.ended ?? Date.now()) - row.started) / 1000),
      cell: (row) => duration(((row.ended ?? Date.now()) - row.started) / 1000),
    },
    { id: "result", label: c.result, width: "minmax(8rem, 2fr)", priority: 2, text: outcome, cell: (row) => <bdi class={textColor(row)}>{outcome(row)}</bdi> },
  ];
}

const textColor = (job: Job) => (job.error ? "bad" : "");

function filters(rows: readonly Job[] | undefined): Filters<Job> {
  const c = t().jobs;
  return [
    valueFilter("state", c.state, rows, (row) => row.state, (state) => word(c.states, state)),
    valueFilter("kind", c.kind, rows, (row) => row.kind, (kind) => word(c.kinds, kind)),
  ];
}

export function JobsScreen() {
  const jobs = useResource("jobs", (signal) => value(api.GET("/api/v1/jobs", { signal })), REFRESH_MS);
  return (
    <DataTable
      name="jobs"
      label={t().screens.jobs}
      columns={columns()}
      rows={jobs.value}
      rowKey={(row) => row.id}
      filters={filters(jobs.value)}
      error={jobs.error}
      reload={jobs.reload}
      empty={
        <Empty text={t().jobs.empty}>
          <a href={formatPlace("nodes")}>{t().screens.nodes}</a>
        </Empty>
      }
    />
  );
}
