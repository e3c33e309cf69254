// The proxy's address as it is entered into a client, and one with options for what the client needs.

import { useState } from "preact/hooks";

import { api, value } from "../../api/client";
import { live } from "../../api/events";
import { fill, t } from "../../i18n";
import { count } from "../../lib/format";
import { useResource } from "../../lib/resource";
import { CopyButton, QrButton } from "../../ui/copy";
import { errorText } from "../../ui/toast";

export function ProxyAddress() {
  const proxy = live.status.value?.proxy ?? "";
  return (
    <>
      <div class="row">
        <code dir="ltr" class="figure break">
          {proxy}
        </code>
        <CopyButton text={proxy} />
        <QrButton text={`http://${proxy}`} label={t().overview.address} />
      </div>
      <details>
        <summary>{t().start.withOptions}</summary>
        <Builder />
      </details>
    </>
  );
}

const OPTIONS = { user: "alice", country: "de", session: "a1", sesstime: "30" } as const;
type Name = keyof typeof OPTIONS;

// Puts the options into the user name as clients say them; the instance writes the address.
function Builder() {
  const [given, setGiven] = useState<Partial<Record<Name, string>>>({});
  const asked = Object.fromEntries(Object.entries(given).filter(([, text]) => text.trim() !== "")) as Partial<Record<Name, string>>;
  // Without an option the address is the one above.
  const answer = useResource(JSON.stringify(asked), async (signal) =>
    Object.keys(asked).length === 0 ? undefined : value(api.GET("/api/v1/proxy", { params: { query: asked }, signal })),
  );
  const c = t().start;
  return (
    <div class="stack">
      <div class="cards">
        {(Object.keys(OPTIONS) as Name[]).map((name) => (
          <label key={name} class="field">
            <span>{c.options[name]}</span>
            <input dir="ltr" autocomplete="off" placeholder={OPTIONS[name]} value={given[name] ?? ""} onInput={(event) => setGiven({ ...given, [name]: event.currentTarget.value })} />
          </label>
        ))}
      </div>
      {answer.error !== undefined && (
        <p class="bad" role="alert">
          {errorText(answer.error)}
        </p>
      )}
      {answer.error === undefined && answer.value && (
        <>
          <code class="break block" dir="ltr">
            {answer.value.url}
          </code>
          <div class="row">
            <CopyButton text={answer.value.url} />
            <QrButton text={answer.value.url} label={t().overview.address} />
            <span class={answer.value.fitting > 0 ? "good" : "bad"}>{fill(c.fitting, { n: count(answer.value.fitting) })}</span>
          </div>
        </>
      )}
    </div>
  );
}
