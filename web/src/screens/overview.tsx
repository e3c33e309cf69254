// Is it working, how much, how fast, and what is wrong now.

import { live } from "../api/events";
import type { Status } from "../api/types";
import { fill, t } from "../i18n";
import { bytes, count, decimal, duration, fromNow, percent, rate } from "../lib/format";
import { formatPlace } from "../lib/router";
import { Chart } from "../ui/chart";
import { Code } from "../ui/code";
import { CopyButton, QrButton } from "../ui/copy";
import { Failure, Loading } from "../ui/states";
import { StateBadge } from "../ui/node";
import { FirstStart } from "./first-start";

const STATES = ["healthy", "suspect", "new", "dead", "disabled", "quarantined", "unsupported"] as const;
const BAR: Readonly<Record<(typeof STATES)[number], string>> = {
  healthy: "good",
  suspect: "warn",
  new: "muted",
  dead: "bad",
  disabled: "muted",
  quarantined: "bad",
  unsupported: "muted",
};

export function Overview() {
  const status = live.status.value;
  if (status === undefined) {
    return live.failure.value === undefined ? <Loading /> : <Failure error={live.failure.value} retry={() => void live.refresh()} />;
  }
  const nodes = STATES.reduce((sum, state) => sum + status.nodes[state], 0);
  if (nodes === 0) return <FirstStart />;
  return (
    <>
      <Verdict status={status} />
      <div class="cards">
        <Proxy status={status} />
        <Nodes status={status} total={nodes} />
        <Traffic status={status} />
      </div>
      <Curves />
      <div class="cards wide">
        <Problems status={status} />
        <Troubles status={status} />
      </div>
    </>
  );
}

function Verdict({ status }: { readonly status: Status }) {
  const works = status.nodes.healthy + status.nodes.suspect > 0 && !status.reason;
  return (
    <p class={works ? "banner good" : "banner bad"} role="status">
      <strong>{works ? t().overview.works : t().overview.broken}</strong>{" "}
      {status.reason ?? fill(t().overview.summary, { nodes: count(status.nodes.healthy), exits: count(status.exits) })}
    </p>
  );
}

function Proxy({ status }: { readonly status: Status }) {
  return (
    <section class="card">
      <h2>{t().overview.address}</h2>
      <p class="figure">
        <code dir="ltr">{status.proxy}</code>
      </p>
      <div class="row">
        <CopyButton text={status.proxy} />
        <QrButton text={`http://${status.proxy}`} label={t().overview.address} />
        <a href={formatPlace("start")}>{t().overview.test}</a>
      </div>
    </section>
  );
}

function Nodes({ status, total }: { readonly status: Status; readonly total: number }) {
  return (
    <section class="card">
      <h2>{t().overview.nodes}</h2>
      <p class="figure">
        {count(status.nodes.healthy)} <small class="muted">/ {count(total)}</small>
      </p>
      <div class="bar" aria-hidden="true">
        {STATES.map((state) => (
          <span key={state} class={BAR[state]} style={{ width: `${(100 * status.nodes[state]) / total}%` }} />
        ))}
      </div>
      <p class="row">
        {STATES.filter((state) => status.nodes[state] > 0).map((state) => (
          <a key={state} href={formatPlace("nodes", { state })}>
            <StateBadge state={state} /> {count(status.nodes[state])}
          </a>
        ))}
      </p>
    </section>
  );
}

function Traffic({ status }: { readonly status: Status }) {
  const { ok, failed, up, down, tunnels } = status.traffic;
  const now = live.samples.value.at(-1);
  return (
    <section class="card">
      <h2>{t().overview.traffic}</h2>
      <p class="figure">
        ↓ {rate(now?.down ?? 0)} <small class="muted">↑ {rate(now?.up ?? 0)}</small>
      </p>
      <dl class="facts">
        <dt>{t().overview.served}</dt>
        <dd>
          {count(ok)} ({percent(ok + failed === 0 ? 1 : ok / (ok + failed))})
        </dd>
        <dt>{t().overview.volume}</dt>
        <dd>{bytes(up + down)}</dd>
        <dt>{t().overview.open}</dt>
        <dd>{count(tunnels)}</dd>
        <dt>{t().overview.uptime}</dt>
        <dd>{duration(status.uptime_s)}</dd>
      </dl>
    </section>
  );
}

function Curves() {
  const samples = live.samples.value;
  if (samples.length < 2) return null;
  const times = samples.map((sample) => sample.at);
  return (
    <div class="cards wide">
      <section class="card">
        <h2>{t().overview.speed}</h2>
        <Chart
          title={t().overview.speed}
          times={times}
          format={rate}
          least={1000}
          series={[
            { label: t().overview.down, color: "--accent", values: samples.map((sample) => sample.down) },
            { label: t().overview.up, color: "--blue", values: samples.map((sample) => sample.up) },
          ]}
        />
      </section>
      <section class="card">
        <h2>{t().overview.requests}</h2>
        <Chart
          title={t().overview.requests}
          times={times}
          format={decimal}
          least={1}
          series={[
            { label: t().overview.served, color: "--good", values: samples.map((sample) => sample.ok) },
            { label: t().overview.failed, color: "--bad", values: samples.map((sample) => sample.failed) },
          ]}
        />
      </section>
    </div>
  );
}

// What is wrong now and what to do about it: sources that cannot be read, a store that cannot be written.
function Problems({ status }: { readonly status: Status }) {
  const broken = status.sources.filter((source) => source.error);
  const alerts = [...live.alerts.value.values()];
  const { behind_s: behind, last_error_text: reason, pending } = status.store;
  return (
    <section class="card">
      <h2>{t().overview.problems}</h2>
      <ul class="plain">
        {alerts.map((alert) => (
          <li key={alert.alert} class="bad">
            <bdi>{alert.text}</bdi>
          </li>
        ))}
        {behind !== null && behind !== undefined && (
          <li class="bad">
            {fill(t().overview.storeBehind, { time: duration(behind), rows: count(pending) })} <bdi>{reason}</bdi>
          </li>
        )}
        {broken.map((source) => (
          <li key={source.name}>
            <a href={formatPlace("sources", { q: source.name })}>
              <bdi>{source.name}</bdi>
            </a>{" "}
            <Code code={source.error} /> <bdi class="muted">{source.error_text}</bdi>
          </li>
        ))}
        {broken.length === 0 && alerts.length === 0 && (behind === null || behind === undefined) && <li class="muted">{t().overview.noProblems}</li>}
      </ul>
    </section>
  );
}

function Troubles({ status }: { readonly status: Status }) {
  return (
    <section class="card">
      <h2>{t().overview.troubles}</h2>
      <ul class="plain">
        {status.troubles.slice(0, 8).map((trouble) => (
          <li key={`${trouble.at}${trouble.target ?? ""}${trouble.code}`}>
            <span class="muted">{fromNow(trouble.at)}</span> <bdi>{trouble.target ?? ""}</bdi> <Code code={trouble.code} full />
          </li>
        ))}
        {status.troubles.length === 0 && <li class="muted">{t().overview.noTroubles}</li>}
      </ul>
    </section>
  );
}
