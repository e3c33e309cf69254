// A long list that the server gives in parts, one after the other as the reader scrolls.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

export interface Part<T> {
  readonly items: readonly T[];
  // The cursor of the next part; absent at the end.
  readonly next?: string | null;
  readonly total?: number | undefined;
}

// Which part is asked for, as parameters of the request.
export interface PartQuery {
  readonly limit: number;
  readonly cursor?: string;
}

type Load<T> = (part: PartQuery, signal: AbortSignal) => Promise<Part<T>>;

export interface Parts<T> {
  readonly rows: readonly T[] | undefined;
  readonly total: number | undefined;
  readonly error: unknown;
  readonly more: (() => void) | undefined;
  readonly reload: () => void;
  // As `reload`, unless the reader has scrolled far or a part is under way.
  readonly refresh: () => void;
  // Every row, for CSV; at most `MOST` of them.
  readonly all: () => Promise<readonly T[]>;
}

const FIRST = 100;
const LATER = 500;
const MOST = 200_000;

interface State<T> {
  readonly key: string;
  readonly rows: readonly T[] | undefined;
  readonly next: string | null;
  readonly total: number | undefined;
  readonly error: unknown;
}

export function useParts<T>(key: string, load: Load<T>, every?: number): Parts<T> {
  const start = (rows?: readonly T[]): State<T> => ({ key, rows, next: null, total: undefined, error: undefined });
  const [state, setState] = useState<State<T>>(start);
  const latest = useRef(load);
  latest.current = load;
  const running = useRef<AbortController | null>(null);
  const shown = useRef(FIRST);

  const ask = useCallback(
    async (query: PartQuery, join: (before: readonly T[], items: readonly T[]) => readonly T[]) => {
      running.current?.abort();
      const controller = new AbortController();
      running.current = controller;
      try {
        const part = await latest.current(query, controller.signal);
        if (controller.signal.aborted) return;
        setState((before) => {
          const rows = join(before.key === key ? (before.rows ?? []) : [], part.items);
          shown.current = Math.max(FIRST, rows.length);
          return { key, rows, next: part.next ?? null, total: part.total ?? (before.key === key ? before.total : undefined), error: undefined };
        });
      } catch (error) {
        if (!controller.signal.aborted) setState((before) => ({ ...before, key, rows: before.key === key ? before.rows : undefined, error }));
      } finally {
        if (running.current === controller) running.current = null;
      }
    },
    [key],
  );

  // The rows that are shown are asked for again in one part, as long as it is not too large for that.
  const reload = useCallback(() => void ask({ limit: Math.min(shown.current, 1000) }, (_, items) => items), [ask]);

  const refresh = useCallback(() => {
    if (document.visibilityState === "visible" && shown.current <= 1000 && running.current === null) reload();
  }, [reload]);

  useEffect(() => {
    shown.current = FIRST;
    reload();
    const timer = every === undefined ? undefined : setInterval(refresh, every);
    return () => {
      clearInterval(timer);
      running.current?.abort();
    };
  }, [reload, refresh, every]);

  const current: State<T> = state.key === key ? state : start(state.rows);
  const next = state.key === key ? state.next : null;
  const more = useCallback(() => {
    if (running.current === null && next !== null) void ask({ limit: LATER, cursor: next }, (before, items) => [...before, ...items]);
  }, [next, ask]);
  const all = useCallback(async () => {
    const rows: T[] = [];
    let query: PartQuery | undefined = { limit: 1000 };
    while (query !== undefined && rows.length < MOST) {
      const part: Part<T> = await latest.current(query, new AbortController().signal);
      rows.push(...part.items);
      query = part.next ? { limit: 1000, cursor: part.next } : undefined;
    }
    return rows;
  }, []);
  return { rows: current.rows, total: current.total, error: current.error, more: next === null ? undefined : more, reload, refresh, all };
}
