// The texts of the page in the reader's language. A key that one language lacks is a type error.

import { language, type Language } from "../lib/preferences";
import { en, type Messages } from "./en";
import { fa } from "./fa";

const languages: Readonly<Record<Language, Messages>> = { en, fa };

export function t(): Messages {
  return languages[language.value];
}

// Puts values in the places of `{name}`.
export function fill(text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replace(/\{(\w+)\}/g, (place, name: string) => String(values[name] ?? place));
}

// The text for a number of things; languages that have one form for all numbers say the same twice.
export function plural(texts: { readonly one: string; readonly other: string }, number: number): string {
  return number === 1 ? texts.one : texts.other;
}

// The text for a code of the API, such as a node's state; a code that this page does not know yet is shown as it is.
export function word(words: Readonly<Record<string, string>>, code: string): string {
  return words[code] ?? code;
}
