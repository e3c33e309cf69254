// A table of any length: search, filters in the address, sorting, a choice of columns, CSV; only visible rows are in the document.

import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";

import { fill, plural, t } from "../../i18n";
import { download, toCsv } from "../../lib/csv";
import { count as formatCount } from "../../lib/format";
import { columnChoices } from "../../lib/preferences";
import { place, setQuery } from "../../lib/router";
import { useWidth } from "../../lib/width";
import { Empty, Failure, Loading } from "../states";
import { formatSort, isShown, nextSort, parseSort, selectRows, type Column, type Filters, type Sort } from "./model";
import { Toolbar } from "./toolbar";
import { useVirtualRows } from "./virtual";

export { valueFilter, type Column, type Filter, type Filters } from "./model";

const ROW_HEIGHT = 44;
// The space between two columns, as in table.css.
const GAP_REM = 1;
// The width of a page, in pixels, beneath which it is one of a phone.
const NARROW = 700;

interface Props<Row> {
  // The name under which the choice of columns is kept, and of the CSV file.
  readonly name: string;
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[] | undefined;
  readonly rowKey: (row: Row) => string;
  readonly filters: Filters<Row>;
  readonly error?: unknown;
  readonly reload: () => void;
  readonly empty: ComponentChildren;
  // Buttons of each row, in a last column of this width.
  readonly actions?: (row: Row) => ComponentChildren;
  readonly actionsWidth?: string;
  // Where a row's details have the buttons as well, narrow pages leave them out of the rows.
  readonly actionsOnlyWide?: boolean;
  readonly toolbar?: ComponentChildren;
  // Where the server chooses and orders: how many rows there are, how the next part is loaded, and how all are for CSV.
  readonly server?: { readonly total: number | undefined; readonly more: (() => void) | undefined; readonly all: () => Promise<readonly Row[]> };
}

interface HeadProps<Row> {
  readonly columns: readonly Column<Row>[];
  readonly sort: Sort | undefined;
  readonly actions: boolean;
  // Whether the server orders: then only its own columns can be clicked.
  readonly server: boolean;
}

function Head<Row>({ columns, sort, actions, server }: HeadProps<Row>) {
  const sortable = (column: Column<Row>) => !server || column.sort === "server";
  const direction = (column: Column<Row>) =>
    sort?.column !== column.id ? "none" : sort.descending ? "descending" : "ascending";
  return (
    <div role="row" class="tr head" aria-rowindex={1}>
      {columns.map((column) => (
        <span key={column.id} role="columnheader" class={column.numeric ? "td numeric" : "td"} aria-sort={sortable(column) ? direction(column) : undefined}>
          {sortable(column) ? (
            <button type="button" class="sort" onClick={() => setQuery({ sort: formatSort(nextSort(sort, column.id)) })}>
              {column.label}
              <span aria-hidden="true">{{ none: "", ascending: " ▲", descending: " ▼" }[direction(column)]}</span>
            </button>
          ) : (
            column.label
          )}
        </span>
      ))}
      {actions && (
        <span role="columnheader" class="td">
          <span class="offscreen">{t().table.actions}</span>
        </span>
      )}
    </div>
  );
}

export function DataTable<Row>(props: Props<Row>) {
  const { name, columns, rows, filters, server } = props;
  const width = useWidth();
  const actions = props.actionsOnlyWide && width < NARROW ? undefined : props.actions;
  const query = place.value.query;
  const sort = parseSort(query.get("sort"));
  const search = query.get("q") ?? "";
  const chosen = filters.flatMap((filter) => {
    const value = query.get(filter.id);
    return value ? [[filter, value] as const] : [];
  });
  const choice = `${search}\n${query.toString()}`;
  const shown = useMemo(
    () => (rows === undefined || server !== undefined ? rows : selectRows(rows, columns, search, chosen, sort)),
    [rows, choice, server !== undefined],
  );

  const scroller = useRef<HTMLDivElement>(null);
  const visible = columns.filter((column) => isShown(column, columnChoices.value[name] ?? {}, width));
  const { items, height } = useVirtualRows(shown?.length ?? 0, ROW_HEIGHT, scroller);
  const end = items.at(-1)?.index ?? 0;
  const more = server?.more;
  useEffect(() => {
    if (more && shown && end >= shown.length - 20) more();
  }, [more, end, shown?.length]);
  useEffect(() => {
    scroller.current?.scrollTo({ top: 0 });
  }, [choice]);

  const total = server ? server.total : shown?.length;
  const csv = async () => {
    const all = server ? await server.all() : (shown ?? []);
    const text = toCsv(columns.map((column) => column.label), all.map((row) => columns.map((column) => column.text(row))));
    download(`hezar-${name}.csv`, text);
  };
  const tracks = [...visible.map((column) => column.width ?? "minmax(6rem, 1fr)"), ...(actions ? [props.actionsWidth ?? "auto"] : [])];

  // Below this a row scrolls sideways, and nothing of it is cut off.
  const least = tracks.reduce((sum, track) => sum + Number(/[\d.]+(?=rem)/.exec(track)?.[0] ?? 0), 0) + GAP_REM * (tracks.length - 1) + 2;

  return (
    <section class="table-screen" aria-label={props.label}>
      <Toolbar
        table={name}
        columns={columns}
        filters={filters}
        count={total === undefined ? "" : fill(plural(t().table.rows, total), { n: formatCount(total) })}
        onCsv={csv}
      >
        {props.toolbar}
      </Toolbar>
      {props.error !== undefined && shown === undefined && <Failure error={props.error} retry={props.reload} />}
      {props.error === undefined && shown === undefined && <Loading />}
      {shown?.length === 0 && (search === "" && chosen.length === 0 ? props.empty : <Nothing />)}
      {shown !== undefined && shown.length > 0 && (
        <div
          ref={scroller}
          class="table"
          role="table"
          tabIndex={0}
          aria-label={props.label}
          aria-rowcount={(total ?? shown.length) + 1}
          style={{ "--tracks": tracks.join(" "), "--least": `${least}rem` }}
        >
          <Head columns={visible} sort={sort} actions={actions !== undefined} server={server !== undefined} />
          <div role="rowgroup" class="tbody" style={{ height: `${height}px` }}>
            {items.map((item) => {
              const row = shown[item.index];
              if (row === undefined) return null;
              return (
                <div key={props.rowKey(row)} role="row" class="tr" aria-rowindex={item.index + 2} style={{ transform: `translateY(${item.start}px)` }}>
                  {visible.map((column) => (
                    <span key={column.id} role="cell" class={column.numeric ? "td numeric" : "td"}>
                      {column.cell(row)}
                    </span>
                  ))}
                  {actions && (
                    <span role="cell" class="td actions">
                      {actions(row)}
                    </span>
                  )}
                </div>
              );
            })}
          </div>
        </div>
      )}
    </section>
  );
}

function Nothing() {
  const clear = () => setQuery(Object.fromEntries([...place.peek().query.keys()].map((key) => [key, undefined])));
  return (
    <Empty text={t().table.nothing}>
      <button type="button" onClick={clear}>
        {t().table.clear}
      </button>
    </Empty>
  );
}
