// Everything that is known of one node, and what can be done with it.

import { useState } from "preact/hooks";

import { api, value } from "../../api/client";
import type { Node } from "../../api/types";
import { fill, t } from "../../i18n";
import { bytes, count, dateTime, fromNow, percent, rate } from "../../lib/format";
import { useResource } from "../../lib/resource";
import { Code } from "../../ui/code";
import { copyAndSay, QrDialog } from "../../ui/copy";
import { Confirm, Dialog } from "../../ui/dialog";
import { Address, Country, Latency, StateBadge } from "../../ui/node";
import { Failure, Loading } from "../../ui/states";
import { attempt } from "../../ui/toast";
import { loadLink, mark, probe, remove } from "./actions";
import { Probes } from "./probes";
import { Sites } from "./sites";

interface Props {
  readonly id: string;
  readonly onClose: () => void;
  readonly changed: () => void;
}

export function NodeDialog({ id, onClose, changed }: Props) {
  const node = useResource(id, (signal) => value(api.GET("/api/v1/nodes/{id}", { params: { path: { id } }, signal })), 3000);
  return (
    <Dialog title={node.value?.name || node.value?.server || t().nodes.node} onClose={onClose} wide>
      {node.value === undefined && node.error === undefined && <Loading />}
      {node.value === undefined && node.error !== undefined && <Failure error={node.error} retry={node.reload} />}
      {node.value && (
        <>
          <Actions
            node={node.value}
            changed={() => {
              node.reload();
              changed();
            }}
            gone={() => {
              onClose();
              changed();
            }}
          />
          <div class="columns">
            <Facts node={node.value} />
            <div class="stack">
              <Probes id={node.value.id} />
              <Marks key={node.value.id} node={node.value} changed={node.reload} />
              <Sites id={node.value.id} />
            </div>
          </div>
        </>
      )}
    </Dialog>
  );
}

function Moment({ at }: { readonly at: number | null | undefined }) {
  if (!at) return <span class="muted">–</span>;
  return <time title={dateTime(at)}>{fromNow(at)}</time>;
}

function Facts({ node }: { readonly node: Node }) {
  const c = t().nodes;
  return (
    <dl class="facts">
      <dt>{c.state}</dt>
      <dd>
        <StateBadge state={node.state} /> {node.unsupported && <code>{node.unsupported}</code>}
        {node.quarantine && <code class="bad">{node.quarantine}</code>}
      </dd>
      <dt>{c.id}</dt>
      <dd>
        <code>{node.id}</code>
      </dd>
      <dt>{c.server}</dt>
      <dd>
        <Address text={`${node.server}:${node.port}`} />
      </dd>
      <dt>{c.scheme}</dt>
      <dd>
        <code>
          {node.scheme} · {node.transport} · {node.security}
        </code>
        {node.insecure && <p class="warn">{c.insecure}</p>}
      </dd>
      {node.engine && node.engine !== "native" && (
        <>
          <dt>{c.engine}</dt>
          <dd>
            <code>{node.engine}</code>
          </dd>
        </>
      )}
      <dt>{c.latency}</dt>
      <dd>
        <Latency ms={node.latency_ms} />
      </dd>
      <dt>{c.exit}</dt>
      <dd>
        <Address text={node.exit_ip} /> <Country code={node.country} />
      </dd>
      {(node.city || node.asn) && (
        <>
          <dt>{c.city}</dt>
          <dd>
            <bdi>{[node.city, node.asn ? `AS${node.asn}` : ""].filter(Boolean).join(" · ")}</bdi>
          </dd>
        </>
      )}
      <dt>{c.success}</dt>
      <dd>{node.success_rate === null || node.success_rate === undefined ? <span class="muted">–</span> : percent(node.success_rate)}</dd>
      <dt>{c.throughput}</dt>
      <dd>{node.throughput_bytes_per_second ? rate(node.throughput_bytes_per_second) : <span class="muted">–</span>}</dd>
      <dt>{c.traffic}</dt>
      <dd>
        <bdi>↓ {bytes(node.down ?? 0)}</bdi> <bdi>↑ {bytes(node.up ?? 0)}</bdi>
      </dd>
      <dt>{c.open}</dt>
      <dd>{count(node.in_flight)}</dd>
      <dt>{c.lastOk}</dt>
      <dd>
        <Moment at={node.last_ok} />
      </dd>
      <dt>{c.checked}</dt>
      <dd>
        <Moment at={node.last_checked} />
      </dd>
      <dt>{c.nextCheck}</dt>
      <dd>
        <Moment at={node.next_check} />
      </dd>
      <dt>{c.firstSeen}</dt>
      <dd>
        <Moment at={node.first_seen} />
      </dd>
      <dt>{c.error}</dt>
      <dd>
        {node.last_error ? (
          <>
            <Code code={node.last_error} full />{" "}
            <span class="muted">{fill(c.failures, { n: count(node.failures) })}</span>
          </>
        ) : (
          <span class="muted">–</span>
        )}
      </dd>
      <dt>{c.sources}</dt>
      <dd>
        <bdi>{node.sources.join(", ")}</bdi>
      </dd>
    </dl>
  );
}

// What an operator says about the node: tags for the expressions of listeners, and a note.
function Marks({ node, changed }: { readonly node: Node; readonly changed: () => void }) {
  const [tags, setTags] = useState((node.tags ?? []).join(" "));
  const [note, setNote] = useState(node.note ?? "");
  const save = (event: Event) => {
    event.preventDefault();
    void attempt(() => mark([node.id], { tags: tags.split(/[\s,]+/).filter(Boolean), note }), t().common.saved).then(changed);
  };
  return (
    <form class="row" onSubmit={save}>
      <label class="field grow">
        <span>{t().nodes.tags}</span>
        <input dir="ltr" value={tags} onInput={(event) => setTags(event.currentTarget.value)} />
      </label>
      <label class="field grow">
        <span>{t().nodes.note}</span>
        <input dir="auto" value={note} maxLength={500} onInput={(event) => setNote(event.currentTarget.value)} />
      </label>
      <button type="submit">{t().common.save}</button>
    </form>
  );
}

function Actions({ node, changed, gone }: { readonly node: Node; readonly changed: () => void; readonly gone: () => void }) {
  const [asking, setAsking] = useState<"remove" | "ban" | undefined>(undefined);
  const [qr, setQr] = useState<string | undefined>(undefined);
  const c = t().nodes;
  return (
    <div class="row actions-row">
      <button type="button" disabled={node.state === "unsupported"} onClick={() => void attempt(() => probe(node)).then(changed)}>
        {c.probe}
      </button>
      <button type="button" aria-pressed={node.disabled ?? false} onClick={() => void attempt(() => mark([node.id], { disabled: !node.disabled })).then(changed)}>
        {node.disabled ? c.enable : c.disable}
      </button>
      <button type="button" aria-pressed={node.pinned ?? false} onClick={() => void attempt(() => mark([node.id], { pinned: !node.pinned })).then(changed)}>
        {node.pinned ? c.unpin : c.pin}
      </button>
      <button type="button" onClick={() => void attempt(async () => copyAndSay(await loadLink(node)))}>
        {c.copyLink}
      </button>
      <button type="button" onClick={() => void attempt(async () => setQr(await loadLink(node)))}>
        {t().common.qr}
      </button>
      <button type="button" class="danger" onClick={() => setAsking("remove")}>
        {c.remove}
      </button>
      <button type="button" class="danger" onClick={() => setAsking("ban")}>
        {c.ban}
      </button>
      {qr !== undefined && <QrDialog text={qr} title={node.name || node.server} onClose={() => setQr(undefined)} />}
      {asking && (
        <Confirm
          title={asking === "ban" ? c.ban : c.remove}
          text={asking === "ban" ? c.banText : c.removeText}
          action={asking === "ban" ? c.ban : c.remove}
          onConfirm={() => void attempt(() => remove([node.id], asking === "ban")).then((worked) => worked && gone())}
          onClose={() => setAsking(undefined)}
        />
      )}
    </div>
  );
}
