// Small buttons in a row: a sign for the eye, its meaning and the row's name for a screen reader.

// Paths of strokes in a square of 24 by 24.
const SIGNS = {
  refresh: "M20 11a8 8 0 1 0-2.3 5.7M20 5v6h-6",
  power: "M12 3v8M6.5 7a8 8 0 1 0 11 0",
  pin: "M9 3h6l-1 6 4 4v2H6v-2l4-4zM12 15v6",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  qr: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h2v2h-2zM18 18h2v2h-2zM18 14h2M14 20h2",
  edit: "M4 20h4L20 8l-4-4L4 16zM13 7l4 4",
  close: "M6 6l12 12M18 6L6 18",
  remove: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v6M14 11v6",
  play: "M8 5l11 7-11 7z",
  pause: "M8 5v14M16 5v14",
  view: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM12 9a3 3 0 1 1 0 6 3 3 0 0 1 0-6z",
  swap: "M4 8h15l-4-4M20 16H5l4 4",
  lift: "M7 11V8a5 5 0 0 1 9.6-2M5 11h14v9H5z",
  menu: "M4 6h16M4 12h16M4 18h16",
  filter: "M4 5h16l-6 8v6l-4 2v-8z",
  columns: "M4 4h16v16H4zM9.3 4v16M14.7 4v16",
  download: "M12 4v11M7 11l5 5 5-5M4 20h16",
} as const;

export type Sign = keyof typeof SIGNS;

export function Icon({ sign }: { readonly sign: Sign }) {
  return (
    <svg class="sign" viewBox="0 0 24 24" aria-hidden="true">
      <path d={SIGNS[sign]} />
    </svg>
  );
}

interface Props {
  readonly label: string;
  // The name of the thing in whose row the button stands.
  readonly of: string;
  readonly icon: Sign;
  readonly disabled?: boolean;
  readonly pressed?: boolean;
  readonly onClick: () => void;
}

export function IconButton({ label, of, icon, disabled, pressed, onClick }: Props) {
  return (
    <button type="button" class="icon" title={label} aria-label={`${label}: ${of}`} aria-pressed={pressed} disabled={disabled ?? false} onClick={onClick}>
      <Icon sign={icon} />
    </button>
  );
}
