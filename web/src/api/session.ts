// Signing in and out. The token is exchanged for a cookie that scripts cannot read, and is kept nowhere else.

import { api, done, signedIn, value } from "./client";

// A one-time code of `hezar page` stands in the fragment, which browsers send to no server.
const CODE = /^#code=([0-9a-f]+)$/;

export async function redeemCode(): Promise<void> {
  const code = CODE.exec(location.hash)?.[1];
  if (code === undefined) return;
  // A used code is of no use to anybody: it leaves the address and the history.
  history.replaceState(null, "", "#/overview");
  window.dispatchEvent(new HashChangeEvent("hashchange"));
  try {
    await signIn({ code });
  } catch {
    signedIn.value = "no";
  }
}

export async function checkSession(): Promise<void> {
  try {
    const state = await value(api.GET("/api/v1/session"));
    signedIn.value = state.signed_in ? "yes" : "no";
  } catch {
    // Offline: the page says so and asks again.
  }
}

export async function signIn(secret: { token: string } | { code: string }): Promise<void> {
  await value(api.POST("/api/v1/session", { body: secret }));
  signedIn.value = "yes";
}

export async function signOut(): Promise<void> {
  // The screens go first, so that none of them asks for anything with a cookie that is gone.
  signedIn.value = "no";
  await done(api.DELETE("/api/v1/session"));
}
