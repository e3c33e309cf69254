// What can be done with nodes: with one in its row, with all that fit the filters above the table.

import { useState } from "preact/hooks";

import { api, partly, value } from "../../api/client";
import type { Node, ProbeRequest } from "../../api/types";
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
      <IconButton label={t().nodes.probe} of={name} icon="↻" disabled={busy || node.state === "unsupported"} onClick={() => void run()} />
      <IconButton label={t().nodes.copyLink} of={name} icon="⧉" onClick={() => void attempt(async () => copyAndSay(await loadLink(node)))} />
      <IconButton label={t().common.qr} of={name} icon="▦" onClick={() => void attempt(async () => setQr(await loadLink(node)))} />
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
  readonly busy: boolean;
  readonly setBusy: (busy: boolean) => void;
  readonly changed: () => void;
}

export function Bulk({ filters, total, busy, setBusy, changed }: BulkProps) {
  const [asking, setAsking] = useState(false);
  const run = async () => {
    setBusy(true);
    const { sort: _, ...fitting } = filters;
    await attempt(() => value(api.POST("/api/v1/probe", { body: partly<ProbeRequest>({ ...fitting, wait: 0 }) })), t().nodes.probeStarted);
    setBusy(false);
    changed();
  };
  return (
    <>
      <button type="button" disabled={busy || !total} onClick={() => setAsking(true)}>
        {t().nodes.probeAll}
      </button>
      {asking && (
        <Confirm
          title={t().nodes.probeAll}
          text={fill(t().nodes.probeAllText, { n: count(total ?? 0) })}
          action={t().nodes.probe}
          onConfirm={() => void run()}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  );
}
