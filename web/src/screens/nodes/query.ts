// The filters of the nodes screen: from the page's address to the parameters of the API.

import { api, value } from "../../api/client";
import type { Node } from "../../api/types";
import type { Part, PartQuery } from "../../lib/parts";
import { readNumber, readQuery } from "../../lib/router";

const PARAMETERS = {
  state: "state",
  scheme: "scheme",
  source: "source",
  country: "country",
  tag: "tag",
  exit: "exit",
  anonymity: "anonymity",
  q: "search",
  sort: "sort",
} as const;

export type NodeFilters = Partial<Record<(typeof PARAMETERS)[keyof typeof PARAMETERS], string>> & { readonly asn?: number };

// Works first, the fastest in front: what most readers look for.
const DEFAULT_SORT = "best";

export function readFilters(query: URLSearchParams): NodeFilters {
  return { ...readQuery(query, PARAMETERS), ...readNumber(query, "asn") };
}

export async function loadNodes(filters: NodeFilters, part: PartQuery, signal: AbortSignal): Promise<Part<Node>> {
  const query = { ...filters, sort: filters.sort ?? DEFAULT_SORT, ...part };
  const page = await value(api.GET("/api/v1/nodes", { params: { query }, signal }));
  return { items: page.nodes, next: page.next ?? null, total: page.total };
}
