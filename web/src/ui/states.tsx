// What a screen shows while it has nothing else to show, and what the reader can do then.

import type { ComponentChildren } from "preact";

import { t } from "../i18n";
import { errorText } from "./toast";

export function Loading() {
  return (
    <p class="state" role="status">
      <span class="spinner" aria-hidden="true" /> {t().common.loading}
    </p>
  );
}

export function Failure({ error, retry }: { readonly error: unknown; readonly retry: () => void }) {
  return (
    <div class="state" role="alert">
      <p>
        <strong>{t().common.failed}</strong> {errorText(error)}
      </p>
      <button type="button" onClick={retry}>
        {t().common.retry}
      </button>
    </div>
  );
}

export function Empty({ text, children }: { readonly text: string; readonly children?: ComponentChildren }) {
  return (
    <div class="state">
      <p>{text}</p>
      {children}
    </div>
  );
}
