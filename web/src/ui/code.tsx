// A stable code with its meaning and what to do about it, as the API explains it.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { api, value } from "../api/client";
import type { CodeInfo } from "../api/types";
import { t } from "../i18n";
import { language } from "../lib/preferences";

const codes = signal<ReadonlyMap<string, CodeInfo> | undefined>(undefined);
let asked = false;

async function load(): Promise<void> {
  if (asked) return;
  asked = true;
  try {
    const list = await value(api.GET("/api/v1/errors"));
    codes.value = new Map(list.map((info) => [info.code, info]));
  } catch {
    // Without the explanations the codes are shown alone.
    asked = false;
  }
}

// The meaning in the reader's language; the API has all of them in English.
function meaning(code: string): string {
  const own = (t().codes as Readonly<Record<string, string>>)[code];
  if (own !== undefined) return own;
  return language.value === "en" ? (codes.value?.get(code)?.meaning ?? "") : "";
}

interface Props {
  readonly code: string | null | undefined;
  // Whether the meaning and the advice stand beside the code, and not only in its tooltip.
  readonly full?: boolean;
}

export function Code({ code, full }: Props) {
  useEffect(() => void load(), []);
  if (!code) return null;
  const info = codes.value?.get(code);
  if (!full) {
    return (
      <code class="bad" title={meaning(code) || info?.meaning}>
        {code}
      </code>
    );
  }
  return (
    <>
      <code class="bad">{code}</code> {meaning(code)}
      {info?.advice && (
        <small class="hint" dir="ltr" lang="en">
          {info.advice}
        </small>
      )}
    </>
  );
}
