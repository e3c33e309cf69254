import { expect, test } from "vitest";

import { readField, type Field } from "../src/ui/fields";

const field = (kind: Field["kind"]): Field => ({ name: "x", label: "X", kind });

test("a field's text becomes the value that the API takes", () => {
  expect(readField(field("list"), "de, nl  us")).toEqual(["de", "nl", "us"]);
  expect(readField(field("lines"), "a b\n\n c ")).toEqual(["a b", "c"]);
  expect(readField(field("number"), " 12 ")).toBe(12);
  expect(readField(field("text"), "  ")).toBe(null);
  expect(readField(field("secret"), " keeps its spaces ")).toBe(" keeps its spaces ");
});
