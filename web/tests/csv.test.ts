import { expect, test } from "vitest";

import { csvCell, toCsv } from "../src/lib/csv";

test("cells are quoted where they have to be", () => {
  expect(toCsv(["a", "b"], [["x,y", 'say "hi"'], ["1\n2", ""]])).toBe('a,b\r\n"x,y","say ""hi"""\r\n"1\n2",\r\n');
});

test("a name from a stranger's list is no formula", () => {
  for (const formula of ["=1+1", "+A1", "@SUM(A1)", "-2+3", "\t=1"]) expect(csvCell(formula).replace(/^"/, "")).toMatch(/^'/);
  for (const harmless of ["-12", "-1.5", "node", "1=1"]) expect(csvCell(harmless)).toBe(harmless);
});
