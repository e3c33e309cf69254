// A form for an object of the API: one field for each of its members that is worth a field, in the order in which they are given.

import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";

import { t } from "../i18n";
import { readField, toText, type Field, type Value, type Values } from "./fields";
import { errorText } from "./toast";

export type { Field, Values } from "./fields";

interface Props {
  readonly fields: readonly Field[];
  readonly initial: Values;
  readonly action: string;
  readonly onSubmit: (changed: Values) => Promise<unknown>;
  readonly onCancel: () => void;
  // Shows what the values would do, without doing it.
  readonly tryOut?: TryOut;
}

export interface TryOut {
  readonly label: string;
  readonly run: (changed: Values) => Promise<ComponentChildren>;
}

interface InputProps {
  readonly field: Field;
  readonly value: Value | undefined;
  // The id of the field's hint.
  readonly hint: string | undefined;
  readonly onChange: (value: Value) => void;
}

function Input({ field, value, hint, onChange }: InputProps) {
  const [text, setText] = useState(toText(value, field.kind === "lines" ? "\n" : ", "));
  const change = (next: string) => {
    setText(next);
    onChange(readField(field, next));
  };
  const common = { value: text, placeholder: field.placeholder ?? "", required: field.required ?? false, "aria-describedby": hint, ...(field.prose ? {} : { dir: "ltr" as const }) };
  if (field.kind === "select") {
    return (
      <select value={text} aria-describedby={hint} onChange={(event) => change(event.currentTarget.value)}>
        {field.options?.map(([name, label]) => (
          <option key={name} value={name}>
            {label}
          </option>
        ))}
      </select>
    );
  }
  if (field.kind === "lines") return <textarea {...common} spellcheck={false} onInput={(event) => change(event.currentTarget.value)} />;
  const onInput = (event: { currentTarget: HTMLInputElement }) => change(event.currentTarget.value);
  if (field.kind === "secret") return <input {...common} type="password" autocomplete="new-password" onInput={onInput} />;
  if (field.kind === "number") return <input {...common} type="number" onInput={onInput} />;
  return <input {...common} type="text" autocomplete="off" onInput={onInput} />;
}

// The hint is no part of the label: a screen reader says it after the field's name.
function LabelledInput({ field, value, onChange }: Omit<InputProps, "hint">) {
  const id = useId();
  const hint = field.hint === undefined ? undefined : id;
  return (
    <div class={field.kind === "lines" ? "tall" : ""}>
      <label class="field">
        <span>{field.label}</span>
        <Input field={field} value={value} hint={hint} onChange={onChange} />
      </label>
      {field.hint !== undefined && (
        <p id={id} class="hint">
          {field.hint}
        </p>
      )}
    </div>
  );
}

export function Form({ fields, initial, action, onSubmit, onCancel, tryOut }: Props) {
  const [changed, setChanged] = useState<Values>({});
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const [tried, setTried] = useState<ComponentChildren>(undefined);
  const set = ({ name, kind }: Field, value: Value) =>
    setChanged((before) => {
      const { [name]: _, ...others } = before;
      // A secret is never shown: a field that was emptied again means that it stays.
      return kind === "secret" && value === null ? others : { ...others, [name]: value };
    });
  const run = async (work: () => Promise<unknown>) => {
    setBusy(true);
    setProblem("");
    try {
      await work();
    } catch (error) {
      setProblem(errorText(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void run(() => onSubmit(changed));
      }}
    >
      <div class="fields">
        {fields.map((field) =>
          field.kind === "check" ? (
            <label key={field.name} class="check">
              <input type="checkbox" checked={Boolean(changed[field.name] ?? initial[field.name])} onChange={(event) => set(field, event.currentTarget.checked)} />
              {field.label}
            </label>
          ) : (
            <LabelledInput key={field.name} field={field} value={initial[field.name]} onChange={(value) => set(field, value)} />
          ),
        )}
      </div>
      {problem !== "" && (
        <p class="bad" role="alert">
          {problem}
        </p>
      )}
      <div role="status">{tried}</div>
      <div class="row end">
        {tryOut && (
          <button type="button" disabled={busy} onClick={() => void run(async () => setTried(await tryOut.run(changed)))}>
            {tryOut.label}
          </button>
        )}
        <button type="button" onClick={onCancel}>
          {t().common.cancel}
        </button>
        <button type="submit" class="primary" disabled={busy}>
          {action}
        </button>
      </div>
    </form>
  );
}
