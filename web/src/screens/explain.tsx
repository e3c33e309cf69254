// Which nodes a request could use, and why not the others.

import { useState } from "preact/hooks";

import { api, value } from "../api/client";
import type { Explanation } from "../api/types";
import { fill, t, word } from "../i18n";
import { count } from "../lib/format";
import { useResource } from "../lib/resource";
import { formatPlace, place, setQuery } from "../lib/router";
import { Country, Latency } from "../ui/node";
import { Failure, Loading } from "../ui/states";

const NETWORKS = ["tcp", "http", "udp"] as const;

export function ExplainScreen() {
  const query = place.value.query;
  const asked = { user: query.get("user") ?? "", host: query.get("host") ?? "", network: query.get("network") ?? "tcp" };
  const [user, setUser] = useState(asked.user);
  const [host, setHost] = useState(asked.host);
  const answer = useResource(JSON.stringify(asked), (signal) => {
    const given = Object.fromEntries(Object.entries(asked).filter(([, text]) => text !== ""));
    return value(api.GET("/api/v1/explain", { params: { query: given }, signal }));
  });
  const c = t().explain;
  return (
    <div class="stack">
      <form
        class="card stack"
        onSubmit={(event) => {
          event.preventDefault();
          setQuery({ user, host });
        }}
      >
        <p>{c.help}</p>
        <div class="cards">
          <label class="field">
            <span>{c.user}</span>
            <input dir="ltr" placeholder="alice-country-de-session-a1" value={user} onInput={(event) => setUser(event.currentTarget.value)} />
          </label>
          <label class="field">
            <span>{c.host}</span>
            <input dir="ltr" placeholder="example.org" value={host} onInput={(event) => setHost(event.currentTarget.value)} />
          </label>
          <label class="field">
            <span>{c.network}</span>
            <select value={asked.network} onChange={(event) => setQuery({ network: event.currentTarget.value })}>
              {NETWORKS.map((network) => (
                <option key={network} value={network}>
                  {c.networks[network]}
                </option>
              ))}
            </select>
          </label>
        </div>
        <div class="row">
          <button type="submit" class="primary">
            {c.ask}
          </button>
        </div>
      </form>
      {answer.error !== undefined && <Failure error={answer.error} retry={answer.reload} />}
      {answer.error === undefined && answer.value === undefined && <Loading />}
      {answer.error === undefined && answer.value && <Answer explanation={answer.value} />}
    </div>
  );
}

function Answer({ explanation }: { readonly explanation: Explanation }) {
  const c = t().explain;
  return (
    <>
      <p class={explanation.fitting > 0 ? "banner good" : "banner bad"} role="status">
        {fill(explanation.fitting > 0 ? c.fits : c.none, { n: count(explanation.fitting), all: count(explanation.nodes), exits: count(explanation.exits) })}
      </p>
      <div class="cards wide">
        <section class="card">
          <h2>{c.candidates}</h2>
          <ul class="plain">
            {explanation.candidates.map((node) => (
              <li key={node.id} class="row">
                <a href={formatPlace("nodes", { node: node.id })}>
                  <bdi>{node.name || node.server}</bdi>
                </a>
                <Latency ms={node.latency_ms} /> <Country code={node.country} />
              </li>
            ))}
          </ul>
        </section>
        <section class="card">
          <h2>{c.excluded}</h2>
          <ul class="plain">
            {explanation.excluded.map((group) => (
              <li key={group.reason}>
                <strong>{count(group.count)}</strong> {word(c.reasons, group.reason)}
              </li>
            ))}
            {explanation.excluded.length === 0 && <li class="muted">{c.nobodyExcluded}</li>}
          </ul>
        </section>
      </div>
    </>
  );
}
