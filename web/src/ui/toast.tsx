// Short messages about what has just been done, in a corner of the page; a screen reader hears them.

import { signal } from "@preact/signals";

import { ApiProblem, Unreachable } from "../api/client";
import { t } from "../i18n";

interface Toast {
  readonly id: number;
  readonly text: string;
  readonly bad: boolean;
}

const MOST = 4;
const SHOWN_MS = 6000;
const toasts = signal<readonly Toast[]>([]);
let last = 0;

export function notify(text: string, bad = false): void {
  last += 1;
  const id = last;
  toasts.value = [...toasts.value, { id, text, bad }].slice(-MOST);
  setTimeout(() => {
    toasts.value = toasts.value.filter((toast) => toast.id !== id);
  }, SHOWN_MS);
}

export function errorText(error: unknown): string {
  if (error instanceof ApiProblem) return error.message;
  if (error instanceof Unreachable) return t().common.unreachable;
  return error instanceof Error ? error.message : String(error);
}

// Runs an action of the user and says how it ended.
export async function attempt(action: () => Promise<unknown>, success?: string): Promise<boolean> {
  try {
    await action();
    if (success !== undefined) notify(success);
    return true;
  } catch (error) {
    notify(errorText(error), true);
    return false;
  }
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <p key={toast.id} class={toast.bad ? "toast bad" : "toast"}>
          {toast.text}
        </p>
      ))}
    </div>
  );
}
