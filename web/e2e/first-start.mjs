// The first minutes of a new user, in the browser: sign in with the token, paste a link, see the node turn green, copy the
// proxy's address, test it.

import assert from "node:assert/strict";

import { goTo, openPage } from "./browser.mjs";

export async function firstStart(browser, instance, folder) {
  const { context, page, complaints } = await openPage(browser, instance, { grant: ["clipboard-read", "clipboard-write"] });
  await page.goto(instance.origin);

  // A wrong token is refused and said; the browser itself notes the 401 on its console.
  await page.getByLabel("API token").fill("this is not the token");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("This token is not the right one.").waitFor();
  const noted = complaints.splice(0).filter((text) => !text.includes("401"));
  assert.deepEqual(noted, []);
  await page.getByLabel("API token").fill(instance.token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation").waitFor();
  assert.equal(await page.evaluate(() => document.cookie), "", "the cookie is hidden from scripts");

  // One node of the world is taken out, and comes back as a pasted link.
  const healthy = await instance.until("a healthy node", async () => (await instance.ask("GET", "/api/v1/nodes?state=healthy&limit=1")).nodes[0]);
  const { link } = await instance.ask("GET", `/api/v1/nodes/${healthy.id}/link`);
  await instance.ask("DELETE", "/api/v1/nodes", { ids: [healthy.id] });
  await goTo(page, "start");
  await page.getByRole("textbox").first().fill(`${link}\nthis is no link`);
  await page.getByText("Also take nodes on private addresses").click();
  await page.getByRole("button", { name: "Add the links" }).click();
  await page.getByText("1 added, 0 already known, 1 refused.").waitFor();
  await page.locator(".badge.good").first().waitFor({ timeout: 60_000 });

  await page.getByRole("button", { name: "Copy", exact: true }).click();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  const status = await instance.ask("GET", "/api/v1/status");
  assert.equal(copied, status.proxy);

  await page.getByRole("button", { name: "Send a request" }).click();
  await page.getByText("It works: the answer came after").waitFor({ timeout: 60_000 });
  await page.screenshot({ path: `${folder}/first-start.png`, fullPage: true });

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("API token").waitFor();
  assert.deepEqual(complaints, []);
  await context.close();
}
