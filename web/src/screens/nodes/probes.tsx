// The last probes of a node: a bar for each, and what each found.

import { api, value } from "../../api/client";
import type { NodeProbe } from "../../api/types";
import { fill, t, word } from "../../i18n";
import { count, dateTime, fromNow, milliseconds, percent } from "../../lib/format";
import { useResource } from "../../lib/resource";
import { Code } from "../../ui/code";

const REFRESH_MS = 5000;
const BAR_WIDTH = 6;
const HEIGHT = 40;
// As many as are kept of a node.
const MOST = 50;
// The lowest bar, so that a fast answer is seen as well.
const LEAST = 5;

export function Probes({ id }: { readonly id: string }) {
  const probes = useResource(`probes ${id}`, (signal) => value(api.GET("/api/v1/nodes/{id}/probes", { params: { path: { id } }, signal })), REFRESH_MS);
  const list = probes.value?.probes;
  const c = t().probes;
  if (list === undefined) return null;
  const working = list.filter((probe) => probe.works).length;
  return (
    <section aria-label={c.title}>
      <h3>
        {c.title} {list.length > 0 && <small class="muted">{fill(c.summary, { n: count(list.length), share: percent(working / list.length) })}</small>}
      </h3>
      {list.length === 0 ? (
        <p class="muted">{c.empty}</p>
      ) : (
        <>
          <Bars probes={list} />
          <details>
            <summary>{c.list}</summary>
            <ul class="plain scroll">
              {list.map((probe, index) => (
                <Line key={`${probe.at} ${index}`} probe={probe} />
              ))}
            </ul>
          </details>
        </>
      )}
    </section>
  );
}

function color(probe: NodeProbe): string {
  if (!probe.counted) return "muted";
  return probe.works ? "good" : "bad";
}

// The newest at the right; the height is the latency, and failures are as high as the slowest.
function Bars({ probes }: { readonly probes: readonly NodeProbe[] }) {
  const slowest = Math.max(1, ...probes.map((probe) => probe.latency_ms ?? 0));
  const height = (probe: NodeProbe) => (probe.works ? LEAST + ((HEIGHT - LEAST) * (probe.latency_ms ?? 0)) / slowest : HEIGHT);
  return (
    <svg class="bars" viewBox={`0 0 ${MOST * BAR_WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={t().probes.title} dir="ltr">
      {probes.slice(0, MOST).map((probe, index) => (
        <rect key={`${probe.at} ${index}`} class={color(probe)} x={(MOST - 1 - index) * BAR_WIDTH} y={HEIGHT - height(probe)} width={BAR_WIDTH - 1.5} height={height(probe)}>
          <title>{`${dateTime(probe.at)} · ${probe.works ? milliseconds(probe.latency_ms ?? 0) : (probe.error ?? "")}`}</title>
        </rect>
      ))}
    </svg>
  );
}

function Line({ probe }: { readonly probe: NodeProbe }) {
  const c = t().probes;
  return (
    <li class="row">
      <time class="muted" title={dateTime(probe.at)}>
        {fromNow(probe.at)}
      </time>
      {probe.works ? (
        <span class="good">{milliseconds(probe.latency_ms ?? 0)}</span>
      ) : (
        <span>
          {probe.stage && <span class="muted">{word(c.stages, probe.stage)}</span>} <Code code={probe.error} />
        </span>
      )}
      {!probe.counted && <span class="muted">{c.notCounted}</span>}
    </li>
  );
}
