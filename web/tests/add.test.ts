import { expect, test } from "vitest";

import { readInput, sourceName } from "../src/screens/first-start/add";

test("an address with a path is a subscription, everything else is links", () => {
  expect(readInput("  https://example.org/sub/abc?x=1 \n")).toEqual({ kind: "subscription", url: "https://example.org/sub/abc?x=1" });
  expect(readInput("http://192.0.2.1:8080")).toEqual({ kind: "links", lines: 1 });
  expect(readInput("http://user:pass@192.0.2.1:8080/")).toEqual({ kind: "links", lines: 1 });
  expect(readInput("vless://a\n\nss://b\n")).toEqual({ kind: "links", lines: 2 });
  expect(readInput("https://a.example/sub\nhttps://b.example/sub").kind).toBe("links");
  expect(readInput(" \n ")).toEqual({ kind: "nothing" });
});

test("a source is named by its host, and a taken name gets a number", () => {
  expect(sourceName("https://www.example.org/sub", [])).toBe("example.org");
  expect(sourceName("https://example.org/sub", ["example.org", "example.org-2"])).toBe("example.org-3");
});
