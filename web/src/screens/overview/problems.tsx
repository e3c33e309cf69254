// What is wrong now, and which requests failed last.

import type { ComponentChildren } from "preact";

import { live } from "../../api/events";
import type { Status } from "../../api/types";
import { fill, t } from "../../i18n";
import { count, duration, fromNow } from "../../lib/format";
import { formatPlace } from "../../lib/router";
import { Code } from "../../ui/code";

interface Problem {
  readonly key: string;
  readonly view: ComponentChildren;
}

// A problem that the instance says in words.
function said(label: string, texts: readonly string[]): readonly Problem[] {
  return texts.map((text) => ({
    key: `${label} ${text}`,
    view: (
      <>
        <span class="warn">{label}</span> <bdi class="break">{text}</bdi>
      </>
    ),
  }));
}

// The store cannot be written.
function storeProblem({ behind_s: behind, last_error_text: reason, pending }: Status["store"]): readonly Problem[] {
  if (behind === null || behind === undefined) return [];
  const view = (
    <span class="bad">
      {fill(t().overview.storeBehind, { time: duration(behind), rows: count(pending) })} <bdi>{reason}</bdi>
    </span>
  );
  return [{ key: "store", view }];
}

// A source cannot be read.
function sourceProblems(sources: Status["sources"]): readonly Problem[] {
  return sources
    .filter((source) => source.error)
    .map((source) => ({
      key: `source ${source.name}`,
      view: (
        <>
          <a href={formatPlace("sources", { q: source.name })}>
            <bdi>{source.name}</bdi>
          </a>{" "}
          <Code code={source.error} /> <bdi class="muted">{source.error_text}</bdi>
        </>
      ),
    }));
}

export function Problems({ status }: { readonly status: Status }) {
  const c = t().overview;
  const { problems = [], left_out: leftOut = [], restart = [] } = status.config ?? {};
  const list = [
    ...said(c.alert, [...live.alerts.value.values()].map((alert) => alert.text)),
    ...storeProblem(status.store),
    ...said(c.configProblem, problems),
    ...said(c.leftOut, leftOut),
    ...said(c.restart, restart),
    ...sourceProblems(status.sources),
  ];
  return (
    <section class="card">
      <h2>{c.problems}</h2>
      <ul class="plain">
        {list.map(({ key, view }) => (
          <li key={key}>{view}</li>
        ))}
        {list.length === 0 && <li class="muted">{c.noProblems}</li>}
      </ul>
    </section>
  );
}

export function Troubles({ status }: { readonly status: Status }) {
  return (
    <section class="card">
      <h2>{t().overview.troubles}</h2>
      <ul class="plain">
        {status.troubles.slice(0, 8).map((trouble) => (
          <li key={`${trouble.at}${trouble.target ?? ""}${trouble.code}`}>
            <span class="muted">{fromNow(trouble.at)}</span> <bdi>{trouble.target ?? ""}</bdi> <Code code={trouble.code} full />
          </li>
        ))}
        {status.troubles.length === 0 && <li class="muted">{t().overview.noTroubles}</li>}
      </ul>
    </section>
  );
}
