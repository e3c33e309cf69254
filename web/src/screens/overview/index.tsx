// Is it working, how much, how fast, and what is wrong now.

import { live } from "../../api/events";
import type { Status } from "../../api/types";
import { fill, t } from "../../i18n";
import { bytes, count, duration, percent, rate } from "../../lib/format";
import { formatPlace } from "../../lib/router";
import { CopyButton, QrButton } from "../../ui/copy";
import { Failure, Loading } from "../../ui/states";
import { StateBadge } from "../../ui/node";
import { FirstStart } from "../first-start";
import { History } from "./history";
import { Problems, Troubles } from "./problems";
import { STATES } from "./series";

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
      <div class="cards wide">
        <Problems status={status} />
        <Troubles status={status} />
      </div>
      <History />
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
      {status.engine && (
        <p class="muted">
          {fill(t().overview.engine, {
            strategy: status.engine.strategy,
            cores: status.engine.cores.map((core) => `${core.name}: ${core.state}`).join(", "),
          })}
        </p>
      )}
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
        <bdi>↓ {rate(now?.down ?? 0)}</bdi>{" "}
        <small class="muted">
          <bdi>↑ {rate(now?.up ?? 0)}</bdi>
        </small>
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
