// The points of the history as series of numbers for curves.

import type { History, HistoryPoint } from "../../api/types";

export type Values = readonly (number | null)[];

export const STATES = ["healthy", "suspect", "new", "dead", "disabled", "quarantined", "unsupported"] as const;
// How many codes of failed requests have a curve of their own; the others are added up.
const MOST_CODES = 4;
export const OTHERS = "others";

// The points with a gap where nothing ran, so that a curve is broken there and not drawn across it.
export function withGaps({ points, step }: Pick<History, "points" | "step">): readonly HistoryPoint[] {
  const length = step * 1000;
  return points.flatMap((point, index) => {
    const before = points[index - 1];
    return before !== undefined && point.at - before.at > 1.5 * length ? [{ at: before.at + length }, point] : [point];
  });
}

function read(points: readonly HistoryPoint[], value: (point: HistoryPoint) => number | null | undefined): Values {
  return points.map((point) => value(point) ?? null);
}

export interface Curves {
  // Seconds since the Unix epoch.
  readonly times: readonly number[];
  readonly nodes: readonly { readonly state: (typeof STATES)[number]; readonly values: Values }[];
  // Requests a minute by code; `ok` in front, then the most frequent codes.
  readonly requests: readonly { readonly code: string; readonly values: Values }[];
  // Bytes a second.
  readonly down: Values;
  readonly up: Values;
  // Milliseconds.
  readonly p50: Values;
  readonly p90: Values;
  readonly p99: Values;
  readonly totals: { readonly ok: number; readonly failed: number; readonly bytes: number };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

export function curves(history: Pick<History, "points" | "step">): Curves {
  const points = withGaps(history);
  const { step } = history;
  const perCode = new Map<string, number>();
  for (const { requests } of history.points) {
    for (const [code, count] of Object.entries(requests ?? {})) perCode.set(code, (perCode.get(code) ?? 0) + count);
  }
  const failures = [...perCode].filter(([code]) => code !== "ok").sort((a, b) => b[1] - a[1]);
  const own = failures.slice(0, MOST_CODES).map(([code]) => code);
  const rest = failures.slice(MOST_CODES).map(([code]) => code);
  const perMinute = (codes: readonly string[]) => read(points, ({ requests }) => (requests ? (60 * sum(codes.map((code) => requests[code] ?? 0))) / step : null));
  const bytes = history.points.map((point) => (point.bytes?.up ?? 0) + (point.bytes?.down ?? 0));
  return {
    times: points.map(({ at }) => at / 1000),
    nodes: STATES.map((state) => ({ state, values: read(points, ({ nodes }) => nodes?.[state]) })).filter(
      ({ state, values }) => state === "healthy" || values.some((value) => value !== null && value > 0),
    ),
    requests: [
      { code: "ok", values: perMinute(["ok"]) },
      ...own.map((code) => ({ code, values: perMinute([code]) })),
      ...(rest.length > 0 ? [{ code: OTHERS, values: perMinute(rest) }] : []),
    ],
    down: read(points, (point) => (point.bytes ? point.bytes.down / step : null)),
    up: read(points, (point) => (point.bytes ? point.bytes.up / step : null)),
    p50: read(points, ({ latency }) => latency?.p50_ms),
    p90: read(points, ({ latency }) => latency?.p90_ms),
    p99: read(points, ({ latency }) => latency?.p99_ms),
    totals: { ok: perCode.get("ok") ?? 0, failed: sum(failures.map(([, count]) => count)), bytes: sum(bytes) },
  };
}
