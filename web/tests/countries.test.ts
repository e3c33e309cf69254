import { expect, test } from "vitest";

import { countries } from "../src/lib/countries";
import { language } from "../src/lib/preferences";

test("countries are named in the reader's language, in its order", () => {
  const english = new Map(countries());
  expect([english.get("DE"), english.get("IR"), english.has("ZZ"), english.has("QQ")]).toEqual(["Germany", "Iran", false, false]);
  expect(english.size).toBeGreaterThan(240);
  language.value = "fa";
  expect(new Map(countries()).get("DE")).toBe("آلمان");
  language.value = "en";
});
