// The line above a table: search, filters, columns, CSV. What is chosen stands in the page's address.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { fill, t } from "../../i18n";
import { count as formatCount } from "../../lib/format";
import { columnChoices, type ColumnChoice } from "../../lib/preferences";
import { place, setQuery } from "../../lib/router";
import { useWidth } from "../../lib/width";
import { Icon } from "../icon";
import { Menu } from "../menu";
import { attempt } from "../toast";
import { isShown, type Column, type Filter } from "./model";

// How long the reader has stopped typing before the list is asked for.
const TYPING_MS = 200;

export function Search() {
  const asked = place.value.query.get("q") ?? "";
  const [text, setText] = useState(asked);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => setText(asked), [asked]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const onInput = (event: { readonly currentTarget: HTMLInputElement }) => {
    const next = event.currentTarget.value;
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setQuery({ q: next }), TYPING_MS);
  };
  return <input type="search" class="search" placeholder={t().table.search} aria-label={t().table.search} aria-keyshortcuts="/" value={text} onInput={onInput} />;
}

// An address or a name is asked for when it is complete: with Enter, or when the field is left.
// Beside the search its label stands inside it.
function TextFilter<Row>({ filter, inLine }: { readonly filter: Filter<Row>; readonly inLine?: boolean }) {
  const example = filter.placeholder ?? "";
  return (
    <input
      type="text"
      dir="ltr"
      autocomplete="off"
      aria-label={filter.label}
      placeholder={inLine ? `${filter.label} (${example})` : example}
      value={place.value.query.get(filter.id) ?? ""}
      onChange={(event) => setQuery({ [filter.id]: event.currentTarget.value.trim() })}
    />
  );
}

function SelectFilter<Row>({ filter }: { readonly filter: Filter<Row> }) {
  const chosen = place.value.query.get(filter.id) ?? "";
  const options = filter.options ?? [];
  const known = chosen === "" || options.some(([value]) => value === chosen);
  return (
    <select aria-label={filter.label} value={chosen} onChange={(event) => setQuery({ [filter.id]: event.currentTarget.value })}>
      <option value="">{fill(t().table.any, { what: filter.label })}</option>
      {!known && <option value={chosen}>{chosen}</option>}
      {options.map(([value, label]) => (
        <option key={value} value={value}>
          {label}
        </option>
      ))}
    </select>
  );
}

// The first filters stand beside the search where there is room, the others in a menu.
function shownInLine(width: number): number {
  return width < 860 ? 0 : width < 1200 ? 1 : width < 1500 ? 2 : 3;
}

function FiltersMenu<Row>({ filters }: { readonly filters: readonly Filter<Row>[] }) {
  const inForce = filters.filter((filter) => place.value.query.get(filter.id)).length;
  return (
    <Menu label={t().table.filters} sign="filter" {...(inForce > 0 ? { count: formatCount(inForce) } : {})}>
      {filters.map((filter) => (
        <label key={filter.id} class="field">
          <span>{filter.label}</span>
          {filter.options === undefined ? <TextFilter filter={filter} /> : <SelectFilter filter={filter} />}
        </label>
      ))}
    </Menu>
  );
}

function Columns<Row>({ table, columns }: { readonly table: string; readonly columns: readonly Column<Row>[] }) {
  const width = useWidth();
  const choice = columnChoices.value[table] ?? {};
  const choose = (next: ColumnChoice) => (columnChoices.value = { ...columnChoices.value, [table]: next });
  // The first column names the row and stays.
  return (
    <Menu label={t().table.columns} sign="columns">
      {columns.slice(1).map((column) => (
        <label key={column.id} class="check">
          <input type="checkbox" checked={isShown(column, choice, width)} onChange={(event) => choose({ ...choice, [column.id]: event.currentTarget.checked })} />
          {column.label}
        </label>
      ))}
      <button type="button" disabled={Object.keys(choice).length === 0} onClick={() => choose({})}>
        {t().table.usualColumns}
      </button>
    </Menu>
  );
}

// What is chosen in the menu, one word each; a click takes it away.
function Chosen<Row>({ filters }: { readonly filters: readonly Filter<Row>[] }) {
  const chosen = filters.flatMap((filter) => {
    const value = place.value.query.get(filter.id);
    return value ? [{ filter, value }] : [];
  });
  if (chosen.length === 0) return null;
  return (
    <div class="row chosen">
      {chosen.map(({ filter, value }) => (
        <button key={filter.id} type="button" class="chip" title={t().table.removeFilter} onClick={() => setQuery({ [filter.id]: undefined })}>
          <span class="muted">{filter.label}</span> <bdi>{filter.options?.find(([name]) => name === value)?.[1] ?? value}</bdi> <Icon sign="close" />
        </button>
      ))}
    </div>
  );
}

interface Props<Row> {
  readonly table: string;
  readonly columns: readonly Column<Row>[];
  readonly filters: readonly Filter<Row>[];
  readonly count: string;
  readonly onCsv: () => Promise<void>;
  readonly children?: ComponentChildren;
}

export function Toolbar<Row>({ table, columns, filters, count, onCsv, children }: Props<Row>) {
  const [saving, setSaving] = useState(false);
  const inLine = shownInLine(useWidth());
  const others = filters.slice(inLine);
  const save = async () => {
    setSaving(true);
    await attempt(onCsv);
    setSaving(false);
  };
  return (
    <>
      <div class="toolbar">
        <Search />
        {filters.slice(0, inLine).map((filter) => (filter.options === undefined ? <TextFilter key={filter.id} filter={filter} inLine /> : <SelectFilter key={filter.id} filter={filter} />))}
        {others.length > 0 && <FiltersMenu filters={others} />}
        <Columns table={table} columns={columns} />
        <button type="button" disabled={saving} onClick={() => void save()}>
          <Icon sign="download" /> CSV
        </button>
        <span class="count" aria-live="polite">
          {count}
        </span>
        <span class="grow" />
        {children}
      </div>
      <Chosen filters={others} />
    </>
  );
}
