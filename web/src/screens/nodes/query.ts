// The filters of the nodes screen: from the page's address to the parameters of the API.

import { api, value } from "../../api/client";
import type { Node } from "../../api/types";
import type { Part } from "../../lib/parts";

export interface NodeFilters {
  readonly state?: string;
  readonly scheme?: string;
  readonly source?: string;
  readonly country?: string;
  readonly tag?: string;
  readonly exit?: string;
  readonly search?: string;
  readonly sort?: string;
}

// Works first, the fastest in front: what most readers look for.
const DEFAULT_SORT = "best";

export function readFilters(query: URLSearchParams): NodeFilters {
  const filters: Record<string, string> = {};
  for (const [name, parameter] of [
    ["state", "state"],
    ["scheme", "scheme"],
    ["source", "source"],
    ["country", "country"],
    ["tag", "tag"],
    ["exit", "exit"],
    ["q", "search"],
    ["sort", "sort"],
  ] as const) {
    const given = query.get(name);
    if (given !== null && given !== "") filters[parameter] = given;
  }
  return filters;
}

export async function loadNodes(filters: NodeFilters, cursor: string | undefined, limit: number, signal: AbortSignal): Promise<Part<Node>> {
  const query = { ...filters, sort: filters.sort ?? DEFAULT_SORT, limit, ...(cursor === undefined ? {} : { cursor }) };
  const page = await value(api.GET("/api/v1/nodes", { params: { query }, signal }));
  return { items: page.nodes, next: page.next ?? null, total: page.total };
}
