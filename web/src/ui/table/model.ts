// What a table is made of, and how its rows are chosen and ordered in the browser (for lists that are small enough to be loaded
// whole; the server does it for nodes).

import type { ComponentChildren } from "preact";

import type { ColumnChoice } from "../../lib/preferences";

export type Sortable = string | number | null | undefined;

export interface Column<Row> {
  readonly id: string;
  readonly label: string;
  // A track of a CSS grid, such as `minmax(8rem, 2fr)`.
  readonly width?: string;
  // Unless the reader chooses otherwise, 1 (also when nothing is given) is shown on every screen, 2 from 700 px on, 3 from 1100 px
  // on, 4 from 1600 px on, and 5 nowhere.
  readonly priority?: 1 | 2 | 3 | 4 | 5;
  readonly numeric?: boolean;
  readonly cell: (row: Row) => ComponentChildren;
  // The cell as plain text: for the search and for CSV.
  readonly text: (row: Row) => string;
  // The value that orders rows, where it is not the text. Where the server orders, its columns say so, and the others have no order.
  readonly sort?: ((row: Row) => Sortable) | "server";
}

export interface Filter<Row> {
  // Its parameter in the page's address.
  readonly id: string;
  // What is chosen, such as "Country".
  readonly label: string;
  // What can be chosen; without it any text can be entered.
  readonly options?: readonly (readonly [value: string, label: string])[];
  readonly placeholder?: string;
  readonly matches?: (row: Row, value: string) => boolean;
}

// Every table has a filter at least.
export type Filters<Row> = readonly [Filter<Row>, ...Filter<Row>[]];

// A filter whose choices are the values that the rows have. `name` gives the words for a value.
export function valueFilter<Row>(id: string, label: string, rows: readonly Row[] | undefined, read: (row: Row) => string, name = (value: string) => value): Filter<Row> {
  const values = [...new Set((rows ?? []).map(read))].filter(Boolean).sort((a, b) => name(a).localeCompare(name(b)));
  return { id, label, options: values.map((value) => [value, name(value)] as const), matches: (row, value) => read(row) === value };
}

export interface Sort {
  readonly column: string;
  readonly descending: boolean;
}

// Whether a column is shown on a page that is so many pixels wide.
export function isShown(column: { readonly id: string; readonly priority?: number }, choice: ColumnChoice, width: number): boolean {
  const most = width < 700 ? 1 : width < 1100 ? 2 : width < 1600 ? 3 : 4;
  return choice[column.id] ?? (column.priority ?? 1) <= most;
}

// `latency` is ascending, `-latency` descending, as in the API.
export function parseSort(text: string | null): Sort | undefined {
  if (text === null || text === "" || text === "-") return undefined;
  return text.startsWith("-") ? { column: text.slice(1), descending: true } : { column: text, descending: false };
}

export function formatSort(sort: Sort | undefined): string | undefined {
  return sort && (sort.descending ? `-${sort.column}` : sort.column);
}

// A click on a column's head: ascending, then descending, then the list's own order.
export function nextSort(sort: Sort | undefined, column: string): Sort | undefined {
  if (sort?.column !== column) return { column, descending: false };
  return sort.descending ? undefined : { column, descending: true };
}

function compare(a: Sortable, b: Sortable): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

// The rows that fit the search and the filters, in order. Rows without a value stand at the end either way.
export function selectRows<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  search: string,
  filters: readonly (readonly [Filter<Row>, string])[],
  sort: Sort | undefined,
): readonly Row[] {
  const words = search.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const fits = (row: Row) => {
    if (!filters.every(([filter, value]) => filter.matches?.(row, value) ?? true)) return false;
    if (words.length === 0) return true;
    const text = columns.map((column) => column.text(row)).join(" ").toLocaleLowerCase();
    return words.every((word) => text.includes(word));
  };
  const chosen = rows.filter(fits);
  const column = columns.find(({ id }) => id === sort?.column);
  if (sort === undefined || column === undefined || column.sort === "server") return chosen;
  const by = column.sort ?? ((row: Row) => column.text(row) || null);
  const direction = sort.descending ? -1 : 1;
  const absent = (value: Sortable) => value === null || value === undefined;
  return chosen
    .map((row) => ({ row, value: by(row) }))
    .sort((a, b) => {
      if (absent(a.value) || absent(b.value)) return Number(absent(a.value)) - Number(absent(b.value));
      return direction * compare(a.value, b.value);
    })
    .map(({ row }) => row);
}
