// The line above a table: search, filters, columns, CSV. What is chosen stands in the page's address.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";

import { t } from "../../i18n";
import { hiddenColumns } from "../../lib/preferences";
import { place, setQuery } from "../../lib/router";
import type { Column, Filter } from "./model";

// How long the reader has stopped typing before the list is asked for.
const TYPING_MS = 200;

function Search() {
  const asked = place.value.query.get("q") ?? "";
  const [text, setText] = useState(asked);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => setText(asked), [asked]);
  return (
    <input
      type="search"
      class="search"
      placeholder={t().table.search}
      aria-label={t().table.search}
      aria-keyshortcuts="/"
      value={text}
      onInput={(event) => {
        const next = event.currentTarget.value;
        setText(next);
        clearTimeout(timer.current);
        timer.current = setTimeout(() => setQuery({ q: next }), TYPING_MS);
      }}
    />
  );
}

function Select<Row>({ filter }: { readonly filter: Filter<Row> }) {
  return (
    <select
      aria-label={filter.label}
      value={place.value.query.get(filter.id) ?? ""}
      onChange={(event) => setQuery({ [filter.id]: event.currentTarget.value })}
    >
      <option value="">{filter.label}</option>
      {filter.options.map(([value, label]) => (
        <option key={value} value={value}>
          {label}
        </option>
      ))}
    </select>
  );
}

function Columns<Row>({ table, columns }: { readonly table: string; readonly columns: readonly Column<Row>[] }) {
  const hidden = hiddenColumns.value[table] ?? [];
  const toggle = (id: string, shown: boolean) => {
    const next = shown ? hidden.filter((name) => name !== id) : [...hidden, id];
    hiddenColumns.value = { ...hiddenColumns.value, [table]: next };
  };
  return (
    <details class="menu">
      <summary>{t().table.columns}</summary>
      <div class="menu-body">
        {columns.slice(1).map((column) => (
          <label key={column.id}>
            <input
              type="checkbox"
              checked={!hidden.includes(column.id)}
              onChange={(event) => toggle(column.id, event.currentTarget.checked)}
            />
            {column.label}
          </label>
        ))}
      </div>
    </details>
  );
}

interface Props<Row> {
  readonly table: string;
  readonly columns: readonly Column<Row>[];
  readonly filters: readonly Filter<Row>[];
  readonly count: string;
  readonly onCsv: () => void;
  readonly children?: ComponentChildren;
}

export function Toolbar<Row>({ table, columns, filters, count, onCsv, children }: Props<Row>) {
  const counted = useId();
  return (
    <div class="toolbar">
      <Search />
      {filters.map((filter) => (
        <Select key={filter.id} filter={filter} />
      ))}
      <span id={counted} class="count" aria-live="polite">
        {count}
      </span>
      <span class="grow" />
      {children}
      <Columns table={table} columns={columns} />
      <button type="button" onClick={onCsv}>
        CSV
      </button>
    </div>
  );
}
