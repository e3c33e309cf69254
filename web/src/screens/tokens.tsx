// Who may ask the API, and for what. A token is shown once, when it is made.

import { useState } from "preact/hooks";

import { api, value } from "../api/client";
import type { ApiToken, NewToken } from "../api/types";
import { fill, t, word } from "../i18n";
import { dateTime, fromNow } from "../lib/format";
import { useResource } from "../lib/resource";
import { CopyButton } from "../ui/copy";
import { Confirm, Dialog } from "../ui/dialog";
import { Form, type Field } from "../ui/form";
import { Empty } from "../ui/states";
import { DataTable, type Column, type Filters } from "../ui/table";
import { attempt } from "../ui/toast";

const SCOPES = ["admin", "read", "feedback", "subscription", "feed"] as const;

function columns(): readonly Column<ApiToken>[] {
  const c = t().tokens;
  const moment = (at: number | null | undefined) => (at ? <span title={dateTime(at)}>{fromNow(at)}</span> : <span class="muted">{c.never}</span>);
  return [
    { id: "name", label: c.name, width: "minmax(7rem, 2fr)", sort: (row) => row.name, text: (row) => row.name, cell: (row) => <bdi>{row.name}</bdi> },
    { id: "scope", label: c.scope, width: "minmax(6rem, 1fr)", sort: (row) => row.scope, text: (row) => row.scope, cell: (row) => word(c.scopes, row.scope) },
    { id: "created", label: c.created, width: "7rem", priority: 2, sort: (row) => row.created, text: (row) => new Date(row.created).toISOString(), cell: (row) => moment(row.created) },
    { id: "used", label: c.used, width: "7rem", priority: 2, sort: (row) => row.last_used, text: (row) => (row.last_used ? new Date(row.last_used).toISOString() : ""), cell: (row) => moment(row.last_used) },
  ];
}

function filters(): Filters<ApiToken> {
  const c = t().tokens;
  return [{ id: "scope", label: c.scope, options: SCOPES.map((scope) => [scope, c.scopes[scope]] as const), matches: (row, scope) => row.scope === scope }];
}

export function TokensScreen() {
  const tokens = useResource("tokens", (signal) => value(api.GET("/api/v1/tokens", { signal })), 10_000);
  const [adding, setAdding] = useState(false);
  const [made, setMade] = useState<NewToken | undefined>(undefined);
  const [revoking, setRevoking] = useState<string | undefined>(undefined);
  const c = t().tokens;
  const fields: readonly Field[] = [
    { name: "name", label: c.name, kind: "text", required: true },
    { name: "scope", label: c.scope, kind: "select", options: SCOPES.map((scope) => [scope, c.scopes[scope]] as const) },
  ];
  return (
    <>
      <DataTable
        name="tokens"
        label={t().screens.tokens}
        columns={columns()}
        rows={tokens.value}
        rowKey={(row) => row.name}
        filters={filters()}
        error={tokens.error}
        reload={tokens.reload}
        actions={(row) => (
          <button type="button" class="danger" onClick={() => setRevoking(row.name)}>
            {c.revoke}
          </button>
        )}
        actionsWidth="6rem"
        toolbar={
          <button type="button" class="primary" onClick={() => setAdding(true)}>
            {c.add}
          </button>
        }
        empty={<Empty text={c.empty} />}
      />
      {adding && (
        <Dialog title={c.add} onClose={() => setAdding(false)}>
          <Form
            fields={fields}
            initial={{ scope: "read" }}
            action={c.add}
            onCancel={() => setAdding(false)}
            onSubmit={async (given) => {
              const body = { name: String(given["name"] ?? ""), scope: String(given["scope"] ?? "read") };
              setMade(await value(api.POST("/api/v1/tokens", { body })));
              setAdding(false);
              tokens.reload();
            }}
          />
        </Dialog>
      )}
      {made && (
        <Dialog title={made.name} onClose={() => setMade(undefined)}>
          <p>{c.shownOnce}</p>
          <p>
            <code class="break" dir="ltr">
              {made.token}
            </code>
          </p>
          <div class="row end">
            <CopyButton text={made.token} />
          </div>
        </Dialog>
      )}
      {revoking !== undefined && (
        <Confirm
          title={c.revoke}
          text={fill(c.revokeText, { name: revoking })}
          action={c.revoke}
          onConfirm={() => void attempt(() => value(api.DELETE("/api/v1/tokens/{name}", { params: { path: { name: revoking } } })), c.revoked).then(tokens.reload)}
          onClose={() => setRevoking(undefined)}
        />
      )}
    </>
  );
}
