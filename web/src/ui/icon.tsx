// A small button in a row: a sign for the eye, its meaning and the row's name for a screen reader.

interface Props {
  readonly label: string;
  // The name of the thing in whose row the button stands.
  readonly of: string;
  readonly icon: string;
  readonly disabled?: boolean;
  readonly pressed?: boolean;
  readonly onClick: () => void;
}

export function IconButton({ label, of, icon, disabled, pressed, onClick }: Props) {
  return (
    <button type="button" class="icon" title={label} aria-label={`${label}: ${of}`} aria-pressed={pressed} disabled={disabled ?? false} onClick={onClick}>
      <span aria-hidden="true">{icon}</span>
    </button>
  );
}
