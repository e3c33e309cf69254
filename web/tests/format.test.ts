import { afterEach, expect, test } from "vitest";

import { axisTime, bytes, rate } from "../src/lib/format";
import { language } from "../src/lib/preferences";

afterEach(() => {
  language.value = "en";
});

const plain = (text: string) => text.replaceAll("\u00a0", " ");

test("sizes have three digits at most, and the unit that fits", () => {
  const sizes: readonly (readonly [number, string])[] = [[0, "0 B"], [999, "999 B"], [1000, "1 kB"], [1550, "1.6 kB"], [99_960, "100 kB"], [999_600, "1 MB"], [12_300_000, "12.3 MB"], [4.2e15, "4.2 PB"], [4.2e18, "4,200 PB"]];
  for (const [size, text] of sizes) expect(plain(bytes(size)), String(size)).toBe(text);
  expect(plain(rate(2048))).toBe("2 kB/s");
});

test("Persian readers see Persian digits, and the same signs of units", () => {
  language.value = "fa";
  expect(plain(bytes(1550))).toBe("۱٫۶ kB");
});

test("a long axis names days, a short one hours", () => {
  const noon = Date.UTC(2027, 2, 20, 12);
  expect(axisTime(noon, 90 * 86_400)).toMatch(/Mar/);
  expect(axisTime(noon, 86_400)).toMatch(/^\d\d:\d\d$/);
  expect(axisTime(noon, 600)).toMatch(/^\d\d:\d\d:\d\d$/);
});
