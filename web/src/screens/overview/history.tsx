// Curves of the last minutes, live, and of the last day, week and quarter, as the store has kept them.

import type { ComponentProps } from "preact";

import { api, value } from "../../api/client";
import { live } from "../../api/events";
import { fill, t, word } from "../../i18n";
import { bytes, count, decimal, milliseconds, percent, rate } from "../../lib/format";
import { useResource } from "../../lib/resource";
import { place, setQuery } from "../../lib/router";
import { Chart } from "../../ui/chart";
import { Segments } from "../../ui/segments";
import { Failure, Loading } from "../../ui/states";
import { curves, OTHERS, STATES, type Curves } from "./series";

const HOUR_MS = 3_600_000;
const RANGES = { live: 0, day: 24 * HOUR_MS, week: 7 * 24 * HOUR_MS, quarter: 90 * 24 * HOUR_MS } as const;
type Range = keyof typeof RANGES;
// As often as the store gets what was counted.
const REFRESH_MS = 10_000;

const STATE_COLORS: Readonly<Record<(typeof STATES)[number], string>> = {
  healthy: "--good",
  suspect: "--warn",
  new: "--blue",
  dead: "--bad",
  disabled: "--muted",
  quarantined: "--violet",
  unsupported: "--accent",
};
const CODE_COLORS = ["--good", "--bad", "--warn", "--blue", "--violet", "--muted"] as const;

export function History() {
  const names = Object.keys(RANGES) as Range[];
  const range = names.find((name) => name === place.value.query.get("range")) ?? "day";
  const c = t().history;
  return (
    <section aria-label={c.title}>
      <div class="row section-head">
        <h2>{c.title}</h2>
        <span class="grow" />
        <Segments label={c.range} chosen={range} names={names.map((name) => [name, c.ranges[name]] as const)} onChoose={(name) => setQuery({ range: name })} />
      </div>
      {range === "live" ? <Live /> : <Kept key={range} range={range} />}
    </section>
  );
}

// A curve under its title; the note says what it comes to in all.
function Panel({ note, ...chart }: { readonly note?: string } & ComponentProps<typeof Chart>) {
  return (
    <section class="card">
      <h3>
        {chart.title} {note !== undefined && <small class="muted">{note}</small>}
      </h3>
      <Chart {...chart} />
    </section>
  );
}

// The traffic as it is now, from the events.
function Live() {
  const samples = live.samples.value;
  const c = t().overview;
  if (samples.length < 2) return <Loading />;
  const times = samples.map((sample) => sample.at);
  const one = (label: string, color: string, name: "down" | "up" | "ok" | "failed") => ({ label, color, values: samples.map((sample) => sample[name]) });
  return (
    <div class="cards wide">
      <Panel title={c.speed} times={times} format={rate} least={1000} together="live" series={[one(c.down, "--accent", "down"), one(c.up, "--blue", "up")]} />
      <Panel title={c.requests} times={times} format={decimal} least={1} together="live" series={[one(c.served, "--good", "ok"), one(c.failed, "--bad", "failed")]} />
    </div>
  );
}

function Kept({ range }: { readonly range: Exclude<Range, "live"> }) {
  const history = useResource(
    range,
    async (signal) => {
      const from = Date.now() - RANGES[range];
      return curves(await value(api.GET("/api/v1/history", { params: { query: { from } }, signal })));
    },
    REFRESH_MS,
  );
  if (history.value === undefined) return history.error === undefined ? <Loading /> : <Failure error={history.error} retry={history.reload} />;
  if (history.value.times.length === 0) return <p class="state">{t().history.empty}</p>;
  return <Charts curves={history.value} />;
}

function Charts({ curves }: { readonly curves: Curves }) {
  const { times, nodes, requests, totals } = curves;
  const c = t().history;
  const codeName = (code: string) => (code === "ok" ? t().overview.served : code === OTHERS ? c.otherCodes : code);
  const all = totals.ok + totals.failed;
  const served = all === 0 ? "" : fill(c.served, { n: count(all), share: percent(totals.ok / all) });
  return (
    <div class="cards wide">
      <Panel
        title={c.nodes}
        times={times}
        format={count}
        least={1}
        together="kept"
        series={nodes.map(({ state, values }) => ({ label: word(t().states, state), color: STATE_COLORS[state], values }))}
      />
      <Panel
        title={c.requests}
        note={served}
        times={times}
        format={decimal}
        least={1}
        together="kept"
        series={requests.map(({ code, values }, index) => ({ label: codeName(code), color: CODE_COLORS[index] ?? "--muted", values }))}
      />
      <Panel
        title={c.traffic}
        note={bytes(totals.bytes)}
        times={times}
        format={rate}
        least={1000}
        together="kept"
        series={[
          { label: t().overview.down, color: "--accent", values: curves.down },
          { label: t().overview.up, color: "--blue", values: curves.up },
        ]}
      />
      <Panel
        title={c.latency}
        times={times}
        format={milliseconds}
        least={10}
        together="kept"
        series={[
          { label: c.median, color: "--good", values: curves.p50 },
          { label: "p90", color: "--warn", values: curves.p90 },
          { label: "p99", color: "--bad", values: curves.p99 },
        ]}
      />
    </div>
  );
}
