// All countries by name in the reader's language, for a choice.

import { country, collator } from "./format";
import { language, type Language } from "./preferences";

type Countries = readonly (readonly [code: string, name: string])[];

const made = new Map<Language, Countries>();
const LETTERS = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
// Codes that have a name and are no country: what is unknown, Europe as a currency area, the United Nations, test data.
const NO_COUNTRIES = ["ZZ", "EU", "EZ", "UN", "QO", "XA", "XB"];

export function countries(): Countries {
  const known = made.get(language.value);
  if (known) return known;
  const codes = LETTERS.flatMap((first) => LETTERS.map((second) => first + second)).filter((code) => !NO_COUNTRIES.includes(code));
  // A code without a name is given back as it is.
  const named = codes.map((code) => [code, country(code)] as const).filter(([code, name]) => name !== code);
  const sorted = named.sort(([, a], [, b]) => collator().compare(a, b));
  made.set(language.value, sorted);
  return sorted;
}
