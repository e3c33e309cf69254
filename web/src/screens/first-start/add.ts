// Reads what was pasted, and adds it: links as nodes, the address of a subscription as a source.

import { api, partly, value } from "../../api/client";
import type { AddReport, ProbeRequest } from "../../api/types";

export type Input =
  | { readonly kind: "nothing" }
  | { readonly kind: "links"; readonly lines: number }
  | { readonly kind: "subscription"; readonly url: string };

export interface Added {
  readonly added: number;
  readonly known: number;
  readonly ids: readonly string[];
  readonly refused: AddReport["rejects"];
}

// A single address with a path is a subscription; `http://host:port` alone is the link of an HTTP proxy.
export function readInput(text: string): Input {
  const lines = text.split("\n").map((line) => line.trim()).filter(Boolean);
  const [first] = lines;
  if (first === undefined) return { kind: "nothing" };
  if (lines.length === 1 && /^https?:\/\/[^/?#@]+\/[^\s]+$/i.test(first)) return { kind: "subscription", url: first };
  return { kind: "links", lines: lines.length };
}

export async function addLinks(text: string, allowPrivate: boolean): Promise<Added> {
  const params = { query: { allow_private: allowPrivate } };
  const report = await value(api.POST("/api/v1/nodes", { params, body: text, bodySerializer: String }));
  if (report.ids.length > 0) {
    await value(api.POST("/api/v1/probe", { body: partly<ProbeRequest>({ ids: report.ids.slice(0, 1000), wait: 0 }) }));
  }
  return { added: report.added, known: report.known, ids: report.ids, refused: report.rejects };
}

// The name of a new source: the host of its address, with a number where that is taken.
export function sourceName(url: string, taken: readonly string[]): string {
  const host = new URL(url).hostname.replace(/^www\./, "");
  let name = host;
  for (let number = 2; taken.includes(name); number += 1) name = `${host}-${number}`;
  return name;
}
