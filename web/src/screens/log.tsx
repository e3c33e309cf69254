// The end of the log, and what comes.

import { useEffect, useRef, useState } from "preact/hooks";

import { api, value } from "../api/client";
import type { LogLine } from "../api/types";
import { t } from "../i18n";
import { download } from "../lib/csv";
import { dateTime, time } from "../lib/format";
import { place, setQuery } from "../lib/router";
import { Icon } from "../ui/icon";
import { Empty, Failure, Loading } from "../ui/states";
import { Search } from "../ui/table/toolbar";

const LEVELS = ["error", "warn", "info", "debug", "trace"] as const;
const COLORS: Readonly<Record<string, string>> = { error: "bad", warn: "warn", info: "good", debug: "muted", trace: "muted" };
// How many lines are kept on the screen.
const MOST = 2000;
const WAIT_S = 25;
const RETRY_MS = 3000;

interface Followed {
  readonly lines: readonly LogLine[] | undefined;
  readonly error: unknown;
}

// Asks for the last lines, and then again and again for those behind them; each question waits for an answer.
function useLog(level: string, search: string, paused: boolean): Followed {
  const [state, setState] = useState<Followed>({ lines: undefined, error: undefined });
  useEffect(() => {
    if (paused) return;
    const controller = new AbortController();
    const { signal } = controller;
    const follow = async () => {
      let after: number | undefined;
      while (!signal.aborted) {
        try {
          const filter = { ...(level === "" ? {} : { level }), ...(search === "" ? {} : { search }) };
          const query = after === undefined ? { ...filter, limit: 500 } : { ...filter, after, limit: 1000, wait: WAIT_S };
          const page = await value(api.GET("/api/v1/log", { params: { query }, signal }));
          const first = after === undefined;
          after = page.last;
          setState((before) => ({ lines: [...(first ? [] : (before.lines ?? [])), ...page.items].slice(-MOST), error: undefined }));
        } catch (error) {
          if (signal.aborted) return;
          setState((before) => ({ ...before, error }));
          await new Promise((done) => setTimeout(done, RETRY_MS));
        }
      }
    };
    void follow();
    return () => controller.abort();
  }, [level, search, paused]);
  return state;
}

export function LogScreen() {
  const query = place.value.query;
  const [level, search] = [query.get("level") ?? "", query.get("q") ?? ""];
  const [paused, setPaused] = useState(false);
  const { lines, error } = useLog(level, search, paused);
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  useEffect(() => {
    if (atEnd.current) box.current?.scrollTo({ top: box.current.scrollHeight });
  }, [lines]);
  const save = () => download("hezar.log", (lines ?? []).map((line) => `${new Date(line.at).toISOString()} ${line.level} ${line.target} ${line.message} ${line.fields.join(" ")}`).join("\n"), "text/plain;charset=utf-8");
  const c = t().log;
  return (
    <section class="table-screen" aria-label={t().screens.log}>
      <div class="toolbar">
        <Search />
        <select aria-label={c.level} value={level} onChange={(event) => setQuery({ level: event.currentTarget.value })}>
          <option value="">{c.allLevels}</option>
          {LEVELS.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
        <span class="grow" />
        <button type="button" aria-pressed={paused} onClick={() => setPaused(!paused)}>
          <Icon sign={paused ? "play" : "pause"} /> {paused ? c.follow : c.pause}
        </button>
        <button type="button" onClick={save}>
          <Icon sign="download" /> {c.save}
        </button>
      </div>
      {lines === undefined && error !== undefined && <Failure error={error} retry={() => setPaused(false)} />}
      {lines === undefined && error === undefined && <Loading />}
      {lines?.length === 0 && <Empty text={c.empty} />}
      {lines !== undefined && lines.length > 0 && (
        <div
          ref={box}
          class="table log"
          role="log"
          tabIndex={0}
          aria-label={t().screens.log}
          dir="ltr"
          onScroll={(event) => {
            const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
            atEnd.current = scrollHeight - scrollTop - clientHeight < 40;
          }}
        >
          {lines.map((line) => (
            <div key={line.number} class="line">
              <time title={dateTime(line.at)}>{time(line.at)}</time> <span class={COLORS[line.level] ?? ""}>{line.level}</span> <span class="muted">{line.target}</span> {line.message}{" "}
              <span class="muted">{line.fields.join(" ")}</span>
            </div>
          ))}
        </div>
      )}
    </section>
  );
}
