import { expect, test } from "vitest";

import { curves, OTHERS, withGaps } from "../src/screens/overview/series";

const MINUTE = 60_000;
const point = (minute: number, requests: Record<string, number>, down = 0) => ({
  at: minute * MINUTE,
  requests,
  bytes: { up: 0, down },
  nodes: { new: 0, healthy: 3, suspect: 0, dead: 1, disabled: 0, quarantined: 0, unsupported: 0 },
});

test("a time in which nothing ran is a gap in every curve", () => {
  const points = [point(0, { ok: 1 }), point(1, { ok: 2 }), point(5, { ok: 3 })];
  expect(withGaps({ points, step: 60 }).map(({ at }) => at / MINUTE)).toEqual([0, 1, 2, 5]);
  const { times, requests, nodes, down } = curves({ points, step: 60 });
  expect(times).toEqual([0, 60, 120, 300]);
  expect(requests[0]).toEqual({ code: "ok", values: [1, 2, null, 3] });
  for (const { values } of nodes) expect(values[2]).toBe(null);
  expect(down[2]).toBe(null);
});

test("sums of a point become requests a minute and bytes a second", () => {
  const { requests, down, totals } = curves({ points: [point(0, { ok: 300, timeout: 30 }, 600_000)], step: 300 });
  expect(requests).toEqual([
    { code: "ok", values: [60] },
    { code: "timeout", values: [6] },
  ]);
  expect(down).toEqual([2000]);
  expect(totals).toEqual({ ok: 300, failed: 30, bytes: 600_000 });
});

test("the most frequent codes have curves of their own, and the others one together", () => {
  const codes = { ok: 9, a: 1, b: 2, c: 3, d: 4, e: 5, f: 6 };
  const { requests } = curves({ points: [point(0, codes)], step: 60 });
  expect(requests.map(({ code }) => code)).toEqual(["ok", "f", "e", "d", "c", OTHERS]);
  expect(requests.at(-1)?.values).toEqual([3]);
});

test("states that no node was in have no curve, except healthy", () => {
  const { nodes } = curves({ points: [point(0, {})], step: 60 });
  expect(nodes.map(({ state }) => state)).toEqual(["healthy", "dead"]);
  expect(curves({ points: [], step: 60 }).nodes.map(({ state }) => state)).toEqual(["healthy"]);
});
