// A button that opens a small panel beneath it. Escape, a click elsewhere and leaving it with the keyboard close it.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { Icon, type Sign } from "./icon";

interface Props {
  readonly label: string;
  readonly sign: Sign;
  // How many of its choices are in force; shown beside the label unless it is 0.
  readonly count?: string;
  readonly children: ComponentChildren;
}

export function Menu({ label, sign, count, children }: Props) {
  const menu = useRef<HTMLDetailsElement>(null);
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const close = (event: Event) => {
      const element = menu.current;
      if (element?.open && !(event.target instanceof Node && element.contains(event.target))) element.open = false;
    };
    document.addEventListener("pointerdown", close);
    document.addEventListener("focusin", close);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("focusin", close);
    };
  }, []);
  return (
    <details
      ref={menu}
      class="menu"
      onToggle={(event) => setOpen(event.currentTarget.open)}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !event.currentTarget.open) return;
        event.stopPropagation();
        event.currentTarget.open = false;
        event.currentTarget.querySelector("summary")?.focus();
      }}
    >
      <summary>
        <Icon sign={sign} /> {label}
        {count !== undefined && <span class="number">{count}</span>}
      </summary>
      {/* What is closed is not in the document: a choice of all countries is long. */}
      {open && <div class="menu-body">{children}</div>}
    </details>
  );
}
