// The width of the page, for tables that show fewer columns where there is little room.

import { signal } from "@preact/signals";

const width = signal(window.innerWidth);
window.addEventListener("resize", () => {
  width.value = window.innerWidth;
});

export function useWidth(): number {
  return width.value;
}
