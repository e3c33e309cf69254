// What the reader has chosen: language, colours, the columns of each table. Kept in this browser only.

import { effect, signal } from "@preact/signals";

export type Language = "en" | "fa";
export type Theme = "auto" | "light" | "dark";

function read<T>(name: string, fallback: T, known: (value: unknown) => value is T): T {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(`hezar.${name}`) ?? "null");
    return known(value) ? value : fallback;
  } catch {
    return fallback;
  }
}

function keep(name: string, value: unknown): void {
  try {
    localStorage.setItem(`hezar.${name}`, JSON.stringify(value));
  } catch {
    // A browser that keeps nothing forgets the choice with the tab.
  }
}

const isLanguage = (value: unknown): value is Language => value === "en" || value === "fa";
const isTheme = (value: unknown): value is Theme => value === "auto" || value === "light" || value === "dark";
// Of a table, the columns that the reader has chosen to see or not to see.
export type ColumnChoice = Readonly<Record<string, boolean>>;
const isObject = (value: unknown): value is object => typeof value === "object" && value !== null && !Array.isArray(value);
const isColumns = (value: unknown): value is Record<string, ColumnChoice> =>
  isObject(value) && Object.values(value).every((choice) => isObject(choice) && Object.values(choice).every((shown) => typeof shown === "boolean"));

const preferred = (): Language => (navigator.languages.some((tag) => tag.startsWith("fa")) ? "fa" : "en");

export const language = signal<Language>(read("language", preferred(), isLanguage));
export const theme = signal<Theme>(read("theme", "auto", isTheme));
// By table.
export const columnChoices = signal<Record<string, ColumnChoice>>(read("columns", {}, isColumns));

effect(() => keep("language", language.value));
effect(() => keep("theme", theme.value));
effect(() => keep("columns", columnChoices.value));
effect(() => {
  const root = document.documentElement;
  root.lang = language.value;
  root.dir = language.value === "fa" ? "rtl" : "ltr";
  if (theme.value === "auto") root.removeAttribute("data-theme");
  else root.setAttribute("data-theme", theme.value);
});
