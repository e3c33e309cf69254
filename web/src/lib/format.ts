// Numbers, sizes and times as the reader's language writes them. Addresses, ids and codes are never changed: they are copied
// into programs, which read Latin digits only.

import { language, type Language } from "./preferences";

const LOCALES: Readonly<Record<Language, string>> = { en: "en-GB", fa: "fa-IR" };
const formats = new Map<string, Intl.NumberFormat>();

function locale(): string {
  return LOCALES[language.value];
}

function numbers(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = `${locale()}${JSON.stringify(options)}`;
  const known = formats.get(key);
  if (known) return known;
  const made = new Intl.NumberFormat(locale(), options);
  formats.set(key, made);
  return made;
}

export function count(value: number): string {
  return numbers({ maximumFractionDigits: 0 }).format(value);
}

export function decimal(value: number): string {
  return numbers({ maximumFractionDigits: value < 10 ? 1 : 0 }).format(value);
}

export function percent(share: number): string {
  return numbers({ style: "percent", maximumFractionDigits: share > 0 && share < 0.1 ? 1 : 0 }).format(share);
}

// The signs of the units are the same in every language; numbers are not.
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

// Sizes in powers of 1000, as data plans count them.
export function bytes(value: number): string {
  let size = value;
  let unit = 0;
  // 999.96 would be written as 1,000.
  while (size >= 999.5 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || size >= 99.95 ? 0 : 1;
  return `${numbers({ maximumFractionDigits: digits }).format(size)}\u00a0${UNITS[unit] ?? "B"}`;
}

export function rate(perSecond: number): string {
  return `${bytes(perSecond)}/s`;
}

export function milliseconds(value: number): string {
  return `${count(value)}\u00a0ms`;
}

const SPANS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

// How far a moment is away: "3 minutes ago", "in 2 hours".
export function fromNow(at: number, now = Date.now()): string {
  const seconds = Math.round((at - now) / 1000);
  const [unit, length] = SPANS.find(([, span]) => Math.abs(seconds) >= span) ?? (["second", 1] as const);
  return new Intl.RelativeTimeFormat(locale(), { numeric: "auto", style: "short" }).format(Math.trunc(seconds / length), unit);
}

// A length of time by its two largest units: "2 h 5 min".
export function duration(seconds: number): string {
  const parts: string[] = [];
  let rest = Math.max(0, Math.round(seconds));
  for (const [unit, length] of SPANS) {
    const whole = Math.floor(rest / length);
    if ((whole > 0 || (length === 1 && parts.length === 0)) && parts.length < 2) {
      parts.push(numbers({ style: "unit", unit, unitDisplay: "short" }).format(whole));
    }
    rest -= whole * length;
  }
  return parts.join(" ");
}

export function dateTime(at: number): string {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "short", timeStyle: "medium" }).format(at);
}

export function time(at: number): string {
  return new Intl.DateTimeFormat(locale(), { timeStyle: "medium" }).format(at);
}

// A moment as an axis names it: the time of the day, or the day where the axis is longer than two days.
export function axisTime(at: number, spanSeconds: number): string {
  const style: Intl.DateTimeFormatOptions =
    spanSeconds > 2 * 86_400 ? { day: "numeric", month: "short" } : spanSeconds > 1800 ? { hour: "2-digit", minute: "2-digit" } : { timeStyle: "medium" };
  return new Intl.DateTimeFormat(locale(), style).format(at);
}

// The order of names in the reader's language.
export function collator(): Intl.Collator {
  return new Intl.Collator(locale());
}

const regionNames = new Map<string, Intl.DisplayNames>();

// The name of a country in the reader's language, by its ISO 3166-1 code.
export function country(code: string): string {
  const names = regionNames.get(locale()) ?? new Intl.DisplayNames(locale(), { type: "region" });
  regionNames.set(locale(), names);
  try {
    return names.of(code.toUpperCase()) ?? code;
  } catch {
    return code;
  }
}
