// Reads what was pasted, and adds it: links as nodes, the address of a subscription as a source.

import { api, done, partly, value } from "../../api/client";
import { live } from "../../api/events";
import type { AddReport, FetchRequest, ProbeRequest } from "../../api/types";

export type Input =
  | { readonly kind: "nothing" }
  | { readonly kind: "links"; readonly lines: number }
  | { readonly kind: "subscription"; readonly url: string };

export interface Added {
  readonly added: number;
  readonly known: number;
  readonly ids: readonly string[];
  readonly refused: AddReport["rejects"];
  readonly refusedLines: number;
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
  return { added: report.added, known: report.known, ids: report.ids, refused: report.rejects, refusedLines: report.rejects.length };
}

// Makes a source of the address, and reads it at once; its nodes are the source's.
export async function addSubscription(url: string, allowPrivate: boolean): Promise<Added> {
  const names = (live.status.peek()?.sources ?? []).map((source) => source.name);
  const name = sourceName(url, names);
  await done(api.POST("/api/v1/sources", { body: { name, url, ...(allowPrivate ? { allow_private: true } : {}) } }));
  const report = await value(api.POST("/api/v1/fetch", { body: partly<FetchRequest>({ sources: [name], wait: 30 }) }));
  const [read] = report.sources;
  if (read?.error) throw new Error(`${read.error}: ${read.message ?? ""}`);
  const page = await value(api.GET("/api/v1/nodes", { params: { query: { source: name, limit: 100 } } }));
  return { added: read?.added ?? 0, known: (read?.nodes ?? 0) - (read?.added ?? 0), ids: page.nodes.map((node) => node.id), refused: [], refusedLines: read?.refused ?? 0 };
}

// The name of a new source: the host of its address, with a number where that is taken.
export function sourceName(url: string, taken: readonly string[]): string {
  const host = new URL(url).hostname.replace(/^www\./, "");
  let name = host;
  for (let number = 2; taken.includes(name); number += 1) name = `${host}-${number}`;
  return name;
}
