import { expect, test, vi } from "vitest";

import { formatPlace, parsePlace, place, readNumber, readQuery, setQuery } from "../src/lib/router";

test("a place is read as it was written", () => {
  const place = parsePlace(formatPlace("nodes", { q: "a&b=c #1", state: "healthy", empty: "", none: undefined }));
  expect(place.screen).toBe("nodes");
  expect(Object.fromEntries(place.query)).toEqual({ q: "a&b=c #1", state: "healthy" });
});

test("an empty address is the overview", () => {
  for (const fragment of ["", "#", "#/"]) expect(parsePlace(fragment).screen).toBe("overview");
});

test("parameters get the names of the API, and what is empty is left out", () => {
  const query = new URLSearchParams("q=berlin&state=&country=DE&other=1");
  expect(readQuery(query, { q: "search", state: "state", country: "country" })).toEqual({ search: "berlin", country: "DE" });
});

test("a parameter that is no number is no filter", () => {
  const read = (text: string) => readNumber(new URLSearchParams({ asn: text }), "asn");
  expect([read("13335"), read("0"), read("AS1"), read("-1"), read("1e9"), read("")]).toEqual([{ asn: 13335 }, { asn: 0 }, {}, {}, {}, {}]);
});

test("a parameter that changes just after the address did leaves the new screen open", () => {
  const browser = { hash: "#/subscriptions" };
  vi.stubGlobal("location", browser);
  vi.stubGlobal("history", { replaceState: (_state: unknown, _title: string, address: string) => (browser.hash = address) });
  // The module still knows the old address: no event has told it of the new one.
  expect(place.peek().screen).toBe("overview");
  setQuery({ node: undefined });
  expect([browser.hash, place.peek().screen]).toEqual(["#/subscriptions", "subscriptions"]);
  setQuery({ open: "tablet" });
  expect(browser.hash).toBe("#/subscriptions?open=tablet");
  vi.unstubAllGlobals();
});
