// Whether a node is left out for one site, because it has failed there or the site blocks it.

import { useState } from "preact/hooks";

import { api, value } from "../../api/client";
import type { SiteEvidence } from "../../api/types";
import { fill, t } from "../../i18n";
import { count, fromNow } from "../../lib/format";
import { attempt, notify } from "../../ui/toast";
import { AddSiteBan } from "../bans/sites";

export function Sites({ id }: { readonly id: string }) {
  const [site, setSite] = useState("");
  const [evidence, setEvidence] = useState<SiteEvidence | undefined>(undefined);
  const [banning, setBanning] = useState(false);
  const c = t().sites;
  const ask = (event: Event) => {
    event.preventDefault();
    void attempt(async () => setEvidence(await value(api.GET("/api/v1/nodes/{id}/sites", { params: { path: { id }, query: { site } } }))));
  };
  return (
    <>
      <form class="stack" onSubmit={ask}>
        <h3>{c.title}</h3>
        <div class="row">
          <input class="grow" dir="ltr" required autocomplete="off" placeholder="example.org" aria-label={c.site} value={site} onInput={(event) => setSite(event.currentTarget.value)} />
          <button type="submit">{c.ask}</button>
          <button type="button" onClick={() => setBanning(true)}>
            {t().bans.add}
          </button>
        </div>
        <p role="status" hidden={evidence === undefined}>
          {evidence && <Evidence evidence={evidence} />}
        </p>
      </form>
      {banning && <AddSiteBan node={id} site={site} onClose={() => setBanning(false)} onDone={() => notify(t().bans.added)} />}
    </>
  );
}

function Evidence({ evidence }: { readonly evidence: SiteEvidence }) {
  const c = t().sites;
  const site = <bdi>{evidence.site}: </bdi>;
  if (evidence.level === 0) {
    return (
      <span class="good">
        {site}
        {c.nothing}
      </span>
    );
  }
  const until = evidence.until ? fromNow(evidence.until) : t().common.unknown;
  return (
    <span class={evidence.avoided ? "bad" : "warn"}>
      {site}
      {fill(evidence.avoided ? c.avoided : c.failed, { n: count(evidence.level), until })}
    </span>
  );
}
