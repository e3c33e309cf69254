// How nodes look in every table: their state as a coloured word, their latency, their country.

import { t, word } from "../i18n";
import { country, milliseconds } from "../lib/format";

const COLORS: Readonly<Record<string, string>> = {
  healthy: "good",
  suspect: "warn",
  dead: "bad",
  quarantined: "bad",
  new: "plain",
  unsupported: "plain",
  disabled: "plain",
};

export function StateBadge({ state }: { readonly state: string }) {
  return <span class={`badge ${COLORS[state] ?? "plain"}`}>{word(t().states, state)}</span>;
}

export function Latency({ ms }: { readonly ms: number | null | undefined }) {
  if (ms === null || ms === undefined) return <span class="muted">–</span>;
  return <span class={ms < 300 ? "good" : ms < 1000 ? "" : "warn"}>{milliseconds(ms)}</span>;
}

export function Country({ code }: { readonly code: string | null | undefined }) {
  if (!code) return <span class="muted">–</span>;
  return (
    <span title={country(code)}>
      <bdi>{code}</bdi> <span class="muted">{country(code)}</span>
    </span>
  );
}

export function Address({ text }: { readonly text: string | null | undefined }) {
  if (!text) return <span class="muted">–</span>;
  return <code dir="ltr">{text}</code>;
}
