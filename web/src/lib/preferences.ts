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
const isColumns = (value: unknown): value is Record<string, readonly string[]> =>
  typeof value === "object" && value !== null && Object.values(value).every((names) => Array.isArray(names));

const preferred = (): Language => (navigator.languages.some((tag) => tag.startsWith("fa")) ? "fa" : "en");

export const language = signal<Language>(read("language", preferred(), isLanguage));
export const theme = signal<Theme>(read("theme", "auto", isTheme));
// The columns that are hidden, by table.
export const hiddenColumns = signal<Record<string, readonly string[]>>(read("columns", {}, isColumns));

effect(() => keep("language", language.value));
effect(() => keep("theme", theme.value));
effect(() => keep("columns", hiddenColumns.value));
effect(() => {
  const root = document.documentElement;
  root.lang = language.value;
  root.dir = language.value === "fa" ? "rtl" : "ltr";
  if (theme.value === "auto") root.removeAttribute("data-theme");
  else root.setAttribute("data-theme", theme.value);
});
