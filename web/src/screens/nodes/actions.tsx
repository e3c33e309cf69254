// What can be done with nodes: with one in its row, with all that fit the filters above the table.

import { useState } from "preact/hooks";

import { api, partly, value } from "../../api/client";
import type { MarkRequest, Node, NodeMarks, NodesFilter, ProbeRequest, RemoveRequest } from "../../api/types";
import { fill, t } from "../../i18n";
import { count } from "../../lib/format";
import { copyAndSay, QrDialog } from "../../ui/copy";
import { Confirm } from "../../ui/dialog";
import { IconButton } from "../../ui/icon";
import { attempt, notify } from "../../ui/toast";
import type { NodeFilters } from "./query";

export async function probe(node: Node): Promise<void> {
  const report = await value(api.POST("/api/v1/probe", { body: partly<ProbeRequest>({ ids: [node.id] }) }));
  const [result] = report.nodes;
  if (result === undefined) notify(t().nodes.probeStarted);
  else if (result.works) notify(fill(t().nodes.probeWorked, { ms: count(result.latency_ms ?? 0) }));
  else notify(fill(t().nodes.probeFailed, { code: result.error ?? "" }), true);
}

// Says something about nodes: switches them off or on, pins them, changes their tags or their note.
export async function mark(ids: readonly string[], set: Partial<NodeMarks>): Promise<void> {
  await value(api.PATCH("/api/v1/nodes", { body: partly<MarkRequest>({ ids: [...ids], set: partly<NodeMarks>(set) }) }));
}

// The same about all nodes that fit.
async function markAll(filters: NodeFilters, set: Partial<NodeMarks>): Promise<void> {
  const { sort: _, ...fitting } = filters;
  const filter = partly<NodesFilter>(fitting);
  const report = await value(api.PATCH("/api/v1/nodes", { body: partly<MarkRequest>({ filter, set: partly<NodeMarks>(set) }) }));
  notify(fill(t().nodes.marked, { n: count(report.changed) }));
}

// The share link of a node, which holds its credentials: it is asked for only when the reader wants it.
export async function loadLink(node: Node): Promise<string> {
  const { link } = await value(api.GET("/api/v1/nodes/{id}/link", { params: { path: { id: node.id } } }));
  return link;
}

interface RowProps {
  readonly node: Node;
  readonly changed: () => void;
}

export function RowActions({ node, changed }: RowProps) {
  const [busy, setBusy] = useState(false);
  const run = async () => {
    setBusy(true);
    await attempt(() => probe(node));
    setBusy(false);
    changed();
  };
  const [qr, setQr] = useState<string | undefined>(undefined);
  const name = node.name || node.server;
  return (
    <>
      <IconButton label={t().nodes.probe} of={name} icon="refresh" disabled={busy || node.state === "unsupported"} onClick={() => void run()} />
      <IconButton
        label={node.disabled ? t().nodes.enable : t().nodes.disable}
        of={name}
        icon="power"
        pressed={node.disabled ?? false}
        onClick={() => void attempt(() => mark([node.id], { disabled: !node.disabled })).then(changed)}
      />
      <IconButton
        label={node.pinned ? t().nodes.unpin : t().nodes.pin}
        of={name}
        icon="pin"
        pressed={node.pinned ?? false}
        onClick={() => void attempt(() => mark([node.id], { pinned: !node.pinned })).then(changed)}
      />
      <IconButton label={t().nodes.copyLink} of={name} icon="copy" onClick={() => void attempt(async () => copyAndSay(await loadLink(node)))} />
      <IconButton label={t().common.qr} of={name} icon="qr" onClick={() => void attempt(async () => setQr(await loadLink(node)))} />
      {qr !== undefined && <QrDialog text={qr} title={name} onClose={() => setQr(undefined)} />}
    </>
  );
}

export async function remove(ids: readonly string[], ban: boolean): Promise<void> {
  const body = { ids: [...ids], ban };
  const report = await value(api.DELETE("/api/v1/nodes", { body }));
  notify(fill(ban ? t().nodes.banned : t().nodes.removed, { n: count((ban ? report.banned : report.removed) ?? 0) }));
}

interface BulkProps {
  readonly filters: NodeFilters;
  readonly total: number | undefined;
  readonly changed: () => void;
}

type Action = "probe" | "disable" | "enable" | "pin" | "unpin" | "remove";

// One action for all nodes that fit the filters.
export function Bulk({ filters, total, changed }: BulkProps) {
  const [asking, setAsking] = useState<Action | undefined>(undefined);
  const c = t().nodes;
  const labels: Readonly<Record<Action, string>> = { probe: c.probe, disable: c.disable, enable: c.enable, pin: c.pin, unpin: c.unpin, remove: c.remove };
  const { sort: _, ...fitting } = filters;
  const actions: Readonly<Record<Action, () => Promise<unknown>>> = {
    probe: async () => {
      await value(api.POST("/api/v1/probe", { body: partly<ProbeRequest>({ ...fitting, wait: 0 }) }));
      notify(c.probeStarted);
    },
    disable: () => markAll(filters, { disabled: true }),
    enable: () => markAll(filters, { disabled: false }),
    pin: () => markAll(filters, { pinned: true }),
    unpin: () => markAll(filters, { pinned: false }),
    remove: async () => {
      const report = await value(api.DELETE("/api/v1/nodes", { body: partly<RemoveRequest>({ filter: partly<NodesFilter>(fitting) }) }));
      notify(fill(c.removed, { n: count(report.removed) }));
    },
  };
  const names = (Object.keys(labels) as Action[]).filter((name) => name !== "remove" || Object.keys(fitting).length > 0);
  return (
    <>
      <select aria-label={c.withAll} value="" disabled={!total} onChange={(event) => setAsking(names.find((name) => name === event.currentTarget.value))}>
        <option value="">{c.withAll}</option>
        {names.map((name) => (
          <option key={name} value={name}>
            {labels[name]}
          </option>
        ))}
      </select>
      {asking !== undefined && (
        <Confirm
          title={labels[asking]}
          text={fill(c.withAllText, { n: count(total ?? 0) })}
          action={labels[asking]}
          onConfirm={() => void attempt(actions[asking]).then(changed)}
          onClose={() => setAsking(undefined)}
        />
      )}
    </>
  );
}
