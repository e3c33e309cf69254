// How the phones of a user come in by encrypted listeners: a link for each listener, with a QR code.

import { useState } from "preact/hooks";

import { api, value } from "../api/client";
import type { StoredObject } from "../api/types";
import { t } from "../i18n";
import { useResource } from "../lib/resource";
import { CopyButton, QrButton } from "../ui/copy";
import { Confirm } from "../ui/dialog";
import { Failure, Loading } from "../ui/states";
import { attempt } from "../ui/toast";
import { text } from "./objects";
import { changeObject } from "./objects/api";

// 32 random bytes in base64url, as `hezar key user` makes them.
function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function KeyButton({ user, hasKey, changed }: { readonly user: StoredObject; readonly hasKey: boolean; readonly changed: () => void }) {
  const [asking, setAsking] = useState(false);
  const c = t().users;
  const renew = () => void attempt(() => changeObject("user", user.name, { key: newKey() })).then(changed);
  // What stands in the file is changed there.
  if (user.origin !== "store") return null;
  return (
    <>
      <button type="button" onClick={() => (hasKey ? setAsking(true) : renew())}>
        {hasKey ? c.renewKey : c.makeKey}
      </button>
      {asking && (
        <Confirm
          title={c.renewKey}
          text={c.renewKeyText}
          action={c.renewKey}
          onConfirm={() => {
            setAsking(false);
            renew();
          }}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  );
}

export function UserLinks({ user }: { readonly user: StoredObject }) {
  const { name } = user;
  const links = useResource(`links ${name}`, (signal) => value(api.GET("/api/v1/users/{name}/links", { params: { path: { name } }, signal })));
  const [made, setMade] = useState(false);
  const hasKey = made || text(user, "key") !== "";
  const c = t().users;
  if (links.value === undefined) return links.error === undefined ? <Loading /> : <Failure error={links.error} retry={links.reload} />;
  return (
    <section class="stack" aria-label={c.links}>
      <h3>{c.links}</h3>
      {links.value.links.length === 0 && <p class="hint">{hasKey ? c.noListener : c.noKey}</p>}
      {links.value.links.map((link) => (
        <div class="stack" key={link.uri}>
          <bdi>{link.name}</bdi>
          <code class="break block" dir="ltr">
            {link.uri}
          </code>
          <div class="row">
            <CopyButton text={link.uri} />
            <QrButton text={link.uri} label={link.name} />
          </div>
        </div>
      ))}
      <div class="row">
        <KeyButton
          user={user}
          hasKey={hasKey}
          changed={() => {
            setMade(true);
            links.reload();
          }}
        />
      </div>
    </section>
  );
}
