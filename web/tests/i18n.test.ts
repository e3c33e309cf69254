import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { en } from "../src/i18n/en";
import { fa } from "../src/i18n/fa";

type Tree = { readonly [key: string]: string | Tree };

function texts(tree: Tree, path = ""): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, value] of Object.entries(tree)) {
    if (typeof value === "string") found.set(`${path}${key}`, value);
    else texts(value, `${path}${key}.`).forEach((text, name) => found.set(name, text));
  }
  return found;
}

const places = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([place]) => place).sort();

test("every language has the same keys", () => {
  expect([...texts(fa as unknown as Tree).keys()].sort()).toEqual([...texts(en as unknown as Tree).keys()].sort());
});

test("every language has the same places for values, and no text is empty", () => {
  const persian = texts(fa as unknown as Tree);
  for (const [key, text] of texts(en as unknown as Tree)) {
    const other = persian.get(key) ?? "";
    expect(places(other), key).toEqual(places(text));
    expect(text.trim() !== "" && other.trim() !== "", key).toBe(true);
  }
});

test("every code that has a text is one of docs/errors.md", () => {
  const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  const known = new Set([...page.matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map(([, code]) => code));
  expect(Object.keys(en.codes).filter((code) => !known.has(code))).toEqual([]);
});
