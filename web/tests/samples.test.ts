import { expect, test } from "vitest";

import { sampleBetween } from "../src/api/samples";

const reading = (at: number, down: number, ok: number) => ({ at, up: 0, down, ok, failed: 0 });

test("speeds are differences of counters per second", () => {
  expect(sampleBetween(reading(10, 1000, 1), reading(12, 5000, 2))).toEqual({ at: 12, up: 0, down: 2000, ok: 0.5, failed: 0 });
});

test("counters that begin anew and readings of the same moment give no speed", () => {
  expect(sampleBetween(reading(10, 1000, 5), reading(12, 0, 0))).toBe(undefined);
  expect(sampleBetween(reading(10, 1000, 5), reading(10, 2000, 6))).toBe(undefined);
});
