// Asks for the token, and says where it lies.

import { useState } from "preact/hooks";

import { ApiProblem } from "../api/client";
import { signIn } from "../api/session";
import { t } from "../i18n";
import { errorText } from "../ui/toast";

export function SignIn() {
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await signIn({ token: token.trim() });
    } catch (error) {
      setProblem(error instanceof ApiProblem && error.status === 401 ? t().signIn.wrong : errorText(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <main class="alone">
      <h1>Hezar</h1>
      <form class="card stack" onSubmit={(event) => void submit(event)}>
        <label class="field">
          <span>{t().signIn.token}</span>
          <input
            type="password"
            autocomplete="current-password"
            required
            dir="ltr"
            value={token}
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        {problem !== "" && (
          <p class="bad" role="alert">
            {problem}
          </p>
        )}
        <button type="submit" class="primary" disabled={busy}>
          {t().signIn.action}
        </button>
        <p class="hint">{t().signIn.where}</p>
        <p class="hint">
          <code dir="ltr">hezar page</code> {t().signIn.command}
        </p>
      </form>
    </main>
  );
}
