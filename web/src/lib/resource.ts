// A value that the API gives: loaded at once, again when asked for, and kept on the screen while a newer one is under way.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

export interface Resource<T> {
  readonly value: T | undefined;
  readonly error: unknown;
  readonly loading: boolean;
  readonly reload: () => void;
}

// Loads when `key` changes, and every `every` milliseconds while the tab is visible.
export function useResource<T>(key: string, load: (signal: AbortSignal) => Promise<T>, every?: number): Resource<T> {
  const [state, setState] = useState<{ key: string; value: T | undefined; error: unknown; loading: boolean }>({
    key,
    value: undefined,
    error: undefined,
    loading: true,
  });
  const latest = useRef(load);
  latest.current = load;
  const running = useRef<AbortController | null>(null);

  const reload = useCallback(() => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    setState((before) => (before.key === key ? { ...before, loading: true } : { key, value: undefined, error: undefined, loading: true }));
    latest.current(controller.signal).then(
      (value) => {
        if (!controller.signal.aborted) setState({ key, value, error: undefined, loading: false });
      },
      (error: unknown) => {
        if (!controller.signal.aborted) setState((before) => ({ ...before, error, loading: false }));
      },
    );
  }, [key]);

  useEffect(() => {
    reload();
    const timer =
      every === undefined
        ? undefined
        : setInterval(() => {
            if (document.visibilityState === "visible") reload();
          }, every);
    return () => {
      clearInterval(timer);
      running.current?.abort();
    };
  }, [reload, every]);

  const current = state.key === key;
  return { value: current ? state.value : undefined, error: current ? state.error : undefined, loading: !current || state.loading, reload };
}
