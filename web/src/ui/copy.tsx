// Buttons that copy a text, and that show it as a QR code for a phone.

import { useState } from "preact/hooks";
import { encode } from "uqr";

import { t } from "../i18n";
import { copyText } from "../lib/copy";
import { Dialog } from "./dialog";
import { notify } from "./toast";

interface Props {
  readonly text: string;
  readonly label?: string;
}

export async function copyAndSay(text: string): Promise<void> {
  const done = await copyText(text);
  notify(done ? t().common.copied : t().common.copyFailed, !done);
}

export function CopyButton({ text, label }: Props) {
  return (
    <button type="button" onClick={() => void copyAndSay(text)}>
      {label ?? t().common.copy}
    </button>
  );
}

function path(modules: readonly (readonly boolean[])[]): string {
  const squares = modules.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : "")));
  return squares.join("");
}

export function QrCode({ text, label }: { readonly text: string; readonly label: string }) {
  const code = encode(text, { border: 3, ecc: "L" });
  return (
    <svg class="qr" viewBox={`0 0 ${code.size} ${code.size}`} role="img" aria-label={label} shape-rendering="crispEdges">
      <rect width={code.size} height={code.size} fill="#fff" />
      <path d={path(code.data)} fill="#000" />
    </svg>
  );
}

export function QrDialog({ text, title, onClose }: { readonly text: string; readonly title: string; readonly onClose: () => void }) {
  // The longest text that a QR code of the lowest correction holds, in bytes (ISO/IEC 18004, version 40-L).
  const fits = new TextEncoder().encode(text).length <= 2953;
  return (
    <Dialog title={title} onClose={onClose}>
      {fits ? <QrCode text={text} label={title} /> : <p>{t().common.qrTooLong}</p>}
      <code class="break" dir="ltr">
        {text}
      </code>
      <div class="row end">
        <CopyButton text={text} />
      </div>
    </Dialog>
  );
}

export function QrButton({ text, label }: Props) {
  const [open, setOpen] = useState(false);
  const title = label ?? t().common.qr;
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        {t().common.qr}
      </button>
      {open && <QrDialog text={text} title={title} onClose={() => setOpen(false)} />}
    </>
  );
}
