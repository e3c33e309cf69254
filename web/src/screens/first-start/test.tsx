// Sends one request through the proxy, as a browser would, and shows the exit that it came from.

import { useState } from "preact/hooks";

import { api, value } from "../../api/client";
import type { TestReport } from "../../api/types";
import { fill, t } from "../../i18n";
import { country, milliseconds } from "../../lib/format";
import { formatPlace } from "../../lib/router";
import { Code } from "../../ui/code";
import { attempt } from "../../ui/toast";

export function Test() {
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [report, setReport] = useState<TestReport | undefined>(undefined);
  const run = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    const body = { ...(user === "" ? {} : { user }), ...(password === "" ? {} : { password }) };
    await attempt(async () => setReport(await value(api.POST("/api/v1/test", { body }))));
    setBusy(false);
  };
  return (
    <form class="card stack" onSubmit={(event) => void run(event)}>
      <h2>{t().start.test}</h2>
      <p>{t().start.testHelp}</p>
      <details>
        <summary>{t().start.asUser}</summary>
        <div class="stack">
          <label class="field">
            <span>{t().start.user}</span>
            <input dir="ltr" autocomplete="off" value={user} onInput={(event) => setUser(event.currentTarget.value)} />
          </label>
          <label class="field">
            <span>{t().start.password}</span>
            <input type="password" dir="ltr" autocomplete="off" value={password} onInput={(event) => setPassword(event.currentTarget.value)} />
          </label>
        </div>
      </details>
      <div class="row">
        <button type="submit" class="primary" disabled={busy}>
          {t().start.testAction}
        </button>
      </div>
      <div role="status">{report && <Result report={report} />}</div>
    </form>
  );
}

function Result({ report }: { readonly report: TestReport }) {
  if (!report.works) {
    return (
      <p class="banner bad">
        <strong>{t().start.testFailed}</strong> <Code code={report.code} full /> <bdi class="muted">{report.message}</bdi>
      </p>
    );
  }
  return (
    <div class="banner good">
      <p>
        <strong>{fill(t().start.testWorked, { time: milliseconds(report.latency_ms) })}</strong>
      </p>
      <dl class="facts">
        <dt>{t().start.exit}</dt>
        <dd>
          <code dir="ltr">{report.exit_ip ?? t().common.unknown}</code> {report.country && country(report.country)}
        </dd>
        <dt>{t().start.node}</dt>
        <dd>
          {report.node ? (
            <a href={formatPlace("nodes", { node: report.node })}>
              <code>{report.node.slice(0, 12)}</code>
            </a>
          ) : (
            t().common.unknown
          )}
        </dd>
        <dt>{t().start.page}</dt>
        <dd>
          <code dir="ltr">{report.url}</code> {report.status}
        </dd>
      </dl>
    </div>
  );
}
