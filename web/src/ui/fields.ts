// The fields of a form, and what their texts mean as values of the API.

export type Value = string | number | boolean | readonly string[] | null;
export type Values = Readonly<Record<string, Value | undefined>>;

export interface Field {
  readonly name: string;
  readonly label: string;
  readonly kind: "text" | "secret" | "number" | "check" | "list" | "lines" | "select";
  readonly options?: readonly (readonly [value: string, label: string])[];
  readonly hint?: string;
  readonly placeholder?: string;
  readonly required?: boolean;
  // Texts of people are written in their direction; addresses and names of programs from left to right.
  readonly prose?: boolean;
}

export function toText(value: Value | undefined, separator: string): string {
  if (value === null || value === undefined) return "";
  return Array.isArray(value) ? value.join(separator) : String(value);
}

function split(text: string, separator: RegExp): readonly string[] {
  return text.split(separator).map((part) => part.trim()).filter(Boolean);
}

// What the text of a field means. An empty field is null: the setting's own default.
export function readField(field: Field, text: string): Value {
  if (field.kind === "list") return split(text, /[,\s]+/);
  if (field.kind === "lines") return split(text, /\n/);
  const trimmed = field.kind === "secret" ? text : text.trim();
  if (trimmed === "") return null;
  if (field.kind === "number") return Number(trimmed);
  return trimmed;
}
