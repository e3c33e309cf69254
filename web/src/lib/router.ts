// The address of a screen: it stands in the fragment, so that the paths of the API and of the Clash API stay free. A screen's
// filters are its query: `#/nodes?state=healthy&sort=-latency`. A link to a filtered table can be kept and sent.

import { computed, signal } from "@preact/signals";

export interface Place {
  readonly screen: string;
  readonly query: URLSearchParams;
}

export function parsePlace(fragment: string): Place {
  const text = fragment.replace(/^#\/?/, "");
  const [path = "", query = ""] = text.split("?", 2);
  return { screen: decodeURIComponent(path) || "overview", query: new URLSearchParams(query) };
}

export function formatPlace(screen: string, query: Readonly<Record<string, string | undefined>> = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") parameters.set(name, value);
  }
  const text = parameters.toString();
  return `#/${screen}${text === "" ? "" : `?${text}`}`;
}

const fragment = signal(typeof location === "undefined" ? "" : location.hash);

if (typeof window !== "undefined") {
  window.addEventListener("hashchange", () => {
    fragment.value = location.hash;
  });
}

export const place = computed(() => parsePlace(fragment.value));

export function go(screen: string, query: Readonly<Record<string, string | undefined>> = {}): void {
  location.hash = formatPlace(screen, query);
}

// Parameters of an address under the names that the API has for them; what is empty is left out.
export function readQuery<Name extends string>(query: URLSearchParams, names: Readonly<Record<string, Name>>): Partial<Record<Name, string>> {
  const found: Partial<Record<Name, string>> = {};
  for (const [own, name] of Object.entries(names)) {
    const given = query.get(own);
    if (given) found[name] = given;
  }
  return found;
}

// A parameter that is a whole number from 0 on; what is not one is left out.
export function readNumber<Name extends string>(query: URLSearchParams, name: Name): Partial<Record<Name, number>> {
  const given = query.get(name);
  return given !== null && /^\d{1,15}$/.test(given) ? ({ [name]: Number(given) } as Record<Name, number>) : {};
}

// Changes parameters of the current screen without a new entry in the browser's history; empty values are removed. The browser
// tells of a new address a moment after it has it: what is read here is the address itself, so that a dialog that closes in that
// moment does not lead back to the screen that was left.
export function setQuery(changes: Readonly<Record<string, string | undefined>>): void {
  const now = parsePlace(location.hash);
  const merged: Record<string, string | undefined> = Object.fromEntries(now.query);
  Object.assign(merged, changes);
  history.replaceState(null, "", formatPlace(now.screen, merged));
  fragment.value = location.hash;
}
