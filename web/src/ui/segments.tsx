// A choice of few, side by side: one is in force.

interface Props<Name extends string> {
  readonly label: string;
  readonly chosen: Name;
  readonly names: readonly (readonly [name: Name, label: string])[];
  readonly onChoose: (name: Name) => void;
}

export function Segments<Name extends string>({ label, chosen, names, onChoose }: Props<Name>) {
  return (
    <div class="segments" role="group" aria-label={label}>
      {names.map(([name, text]) => (
        <button key={name} type="button" aria-pressed={name === chosen} onClick={() => onChoose(name)}>
          {text}
        </button>
      ))}
    </div>
  );
}
