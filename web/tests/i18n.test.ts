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

test("every language has the same places for values, and no text is empty", () => {
  const persian = texts(fa as unknown as Tree);
  for (const [key, text] of texts(en as unknown as Tree)) {
    const other = persian.get(key) ?? "";
    expect(places(other), key).toEqual(places(text));
    expect(text.trim() !== "" && other.trim() !== "", key).toBe(true);
  }
});
