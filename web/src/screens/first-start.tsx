// The first minutes: paste links or a subscription, see the nodes turn green, copy the proxy's address, test it.

import { useState } from "preact/hooks";

import { api, value } from "../api/client";
import { live } from "../api/events";
import type { Node } from "../api/types";
import { fill, t } from "../i18n";
import { count } from "../lib/format";
import { useResource } from "../lib/resource";
import { Latency, StateBadge } from "../ui/node";
import { attempt } from "../ui/toast";
import { ProxyAddress } from "./first-start/address";
import { addLinks, addSubscription, readInput, type Added } from "./first-start/add";
import { Test } from "./first-start/test";

// How many of the added nodes are shown one by one.
const SHOWN = 12;

export function FirstStart() {
  const [added, setAdded] = useState<Added | undefined>(undefined);
  return (
    <ol class="steps">
      <li>
        <Paste onAdded={setAdded} />
      </li>
      <li>
        <section class="card stack">
          <h2>{t().start.watch}</h2>
          {added === undefined ? <Healthy /> : <Watch added={added} />}
        </section>
      </li>
      <li>
        <section class="card stack">
          <h2>{t().start.copy}</h2>
          <p>{t().start.copyHelp}</p>
          <ProxyAddress />
        </section>
      </li>
      <li>
        <Test />
      </li>
    </ol>
  );
}

function Paste({ onAdded }: { readonly onAdded: (added: Added) => void }) {
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [allowPrivate, setAllowPrivate] = useState(false);
  const input = readInput(text);
  const add = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    await attempt(async () => {
      onAdded(input.kind === "subscription" ? await addSubscription(input.url, allowPrivate) : await addLinks(text, allowPrivate));
      setText("");
      await live.refresh();
    });
    setBusy(false);
  };
  return (
    <form class="card stack" onSubmit={(event) => void add(event)}>
      <label class="field">
        <h2>{t().start.paste}</h2>
        <span>{t().start.pasteHelp}</span>
        <textarea dir="ltr" spellcheck={false} placeholder={"vless://…\nhttps://example.org/sub/…"} value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      <div class="row">
        <button type="submit" class="primary" disabled={busy || input.kind === "nothing"}>
          {input.kind === "subscription" ? t().start.addSubscription : t().start.addLinks}
        </button>
        <label class="check">
          <input type="checkbox" checked={allowPrivate} onChange={(event) => setAllowPrivate(event.currentTarget.checked)} />
          {t().start.allowPrivate}
        </label>
        {input.kind === "links" && <span class="muted">{fill(t().start.lines, { n: count(input.lines) })}</span>}
      </div>
    </form>
  );
}

// Without anything just added: how many nodes work.
function Healthy() {
  const nodes = live.status.value?.nodes;
  return <p>{fill(t().start.healthyNow, { n: count(nodes?.healthy ?? 0), waiting: count(nodes?.new ?? 0) })}</p>;
}

function Watch({ added }: { readonly added: Added }) {
  const ids = added.ids.slice(0, SHOWN);
  const nodes = useResource(
    ids.join(),
    (signal) => Promise.all(ids.map((id) => value(api.GET("/api/v1/nodes/{id}", { params: { path: { id } }, signal })))),
    2000,
  );
  return (
    <>
      <p role="status">{fill(t().start.added, { added: count(added.added), known: count(added.known), refused: count(added.refusedLines) })}</p>
      {added.refused.length > 0 && (
        <details>
          <summary>{t().start.refusedLines}</summary>
          <ul class="plain">
            {added.refused.slice(0, 20).map((reject) => (
              <li key={reject.line}>
                {fill(t().start.line, { n: count(reject.line) })} <code class="bad">{reject.reject}</code> <bdi class="muted">{reject.excerpt}</bdi>
                {reject.hint && <p class="hint">{reject.hint}</p>}
              </li>
            ))}
          </ul>
        </details>
      )}
      <ul class="plain">{nodes.value?.map((node) => <Line key={node.id} node={node} />)}</ul>
      <Healthy />
    </>
  );
}

function Line({ node }: { readonly node: Node }) {
  return (
    <li class="row">
      <StateBadge state={node.state} /> <bdi class="break">{node.name || node.server}</bdi> <Latency ms={node.latency_ms} />
      {node.last_error && <code class="muted">{node.last_error}</code>}
    </li>
  );
}
