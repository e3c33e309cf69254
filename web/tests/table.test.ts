import { expect, test } from "vitest";

import { formatSort, isShown, nextSort, parseSort, selectRows, valueFilter, type Column } from "../src/ui/table/model";

interface Row {
  readonly name: string;
  readonly size: number | null;
}

const rows: readonly Row[] = [
  { name: "node 10", size: null },
  { name: "node 9", size: 5 },
  { name: "Berlin", size: 70 },
];
const columns: readonly Column<Row>[] = [
  { id: "name", label: "Name", text: (row) => row.name, sort: (row) => row.name, cell: (row) => row.name },
  { id: "size", label: "Size", text: (row) => String(row.size), sort: (row) => row.size, cell: (row) => row.size },
];
const names = (search: string, sort: string | null) => selectRows(rows, columns, search, [], parseSort(sort)).map((row) => row.name);

test("every word of the search has to fit", () => {
  expect(names("NODE 9", null)).toEqual(["node 9"]);
  expect(names("node berlin", null)).toEqual([]);
});

test("numbers in names are compared as numbers, and rows without a value stand at the end", () => {
  expect(names("", "name")).toEqual(["Berlin", "node 9", "node 10"]);
  expect(names("", "size")).toEqual(["node 9", "Berlin", "node 10"]);
  expect(names("", "-size")).toEqual(["Berlin", "node 9", "node 10"]);
  expect(names("", "nothing")).toEqual(["node 10", "node 9", "Berlin"]);
});

test("a filter is asked with its value", () => {
  const filter = { id: "f", label: "F", options: [], matches: (row: Row, value: string) => String(row.size) === value };
  expect(selectRows(rows, columns, "", [[filter, "5"]], undefined).map((row) => row.name)).toEqual(["node 9"]);
});

test("a head is clicked through ascending, descending and the list's own order", () => {
  const first = nextSort(undefined, "size");
  const second = nextSort(first, "size");
  expect([formatSort(first), formatSort(second), formatSort(nextSort(second, "size"))]).toEqual(["size", "-size", undefined]);
  expect(formatSort(nextSort(second, "name"))).toBe("name");
  expect([parseSort("-"), parseSort(""), parseSort(null)]).toEqual([undefined, undefined, undefined]);
});

test("a column without an order of its own is ordered by its text, empty texts at the end", () => {
  const plain: readonly Column<Row>[] = [{ id: "size", label: "Size", text: (row) => String(row.size ?? ""), cell: () => null }];
  const sizes = (sort: string) => selectRows(rows, plain, "", [], parseSort(sort)).map((row) => row.size);
  expect(sizes("size")).toEqual([5, 70, null]);
  expect(sizes("-size")).toEqual([70, 5, null]);
});

test("a filter by value offers each value once, by its words, and none that is empty", () => {
  const filter = valueFilter("size", "Size", [...rows, ...rows], (row) => String(row.size ?? ""), (value) => (value === "5" ? "zz" : "aa"));
  expect(filter.options).toEqual([["70", "aa"], ["5", "zz"]]);
  expect(rows.filter((row) => filter.matches?.(row, "70")).map((row) => row.name)).toEqual(["Berlin"]);
  expect(valueFilter("size", "Size", undefined, String).options).toEqual([]);
});

test("the reader's choice of a column goes before what fits the page", () => {
  const column = { id: "tags", priority: 3 };
  expect([600, 1000, 1200].map((width) => isShown(column, {}, width))).toEqual([false, false, true]);
  expect([600, 1200].map((width) => isShown(column, { tags: true }, width))).toEqual([true, true]);
  expect(isShown(column, { tags: false }, 1200)).toBe(false);
  expect(isShown({ id: "rare", priority: 5 }, {}, 9999)).toBe(false);
  expect(isShown({ id: "name" }, { tags: false }, 300)).toBe(true);
});
