// What is done where the eye is: nodes, sources, subscriptions and bans are changed from the page, and the instance does as it was told.

import assert from "node:assert/strict";

import { goTo, openPage, signIn } from "./browser.mjs";

export async function actions(browser, instance) {
  const { context, page, complaints } = await openPage(browser, instance, { grant: ["clipboard-read", "clipboard-write"] });
  await signIn(page, instance);
  const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
  const toast = (text) => page.locator(".toast", { hasText: text }).first().waitFor();

  await nodeActions(page, instance, { clipboard, toast });
  await subscription(page, instance, { clipboard });
  await sourceActions(page, instance, { toast });
  await siteBan(page, instance);
  await history(page);
  assert.deepEqual(complaints, []);
  await context.close();
}

async function nodeActions(page, instance, { clipboard, toast }) {
  const node = await instance.until("a healthy node", async () => (await instance.ask("GET", "/api/v1/nodes?state=healthy&limit=1")).nodes[0]);
  const now = () => instance.ask("GET", `/api/v1/nodes/${node.id}`);
  await goTo(page, "nodes", `?node=${node.id}`);
  const dialog = page.getByRole("dialog");
  await dialog.getByText("Last probes").waitFor();
  assert.ok((await dialog.locator(".bars rect").count()) > 0, "the probes of a node that works are shown");

  await dialog.getByRole("button", { name: "Check now" }).click();
  await toast("It works:");
  await dialog.getByRole("button", { name: "Pin", exact: true }).click();
  await dialog.getByRole("button", { name: "Unpin" }).waitFor();
  assert.equal((await now()).pinned, true);
  await dialog.getByRole("button", { name: "Unpin" }).click();
  await dialog.getByRole("button", { name: "Pin", exact: true }).waitFor();
  await dialog.getByRole("button", { name: "Disable" }).click();
  await dialog.getByRole("button", { name: "Enable" }).waitFor();
  assert.equal((await now()).state, "disabled");
  await dialog.getByRole("button", { name: "Enable" }).click();
  await dialog.getByRole("button", { name: "Disable" }).waitFor();

  await dialog.getByRole("button", { name: "Copy link" }).click();
  await toast("Copied.");
  const { link } = await instance.ask("GET", `/api/v1/nodes/${node.id}/link`);
  assert.equal(await clipboard(), link);
  await dialog.getByRole("button", { name: "QR code" }).click();
  await page.locator("svg.qr").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
}

// Makes a subscription, reads it at the address that the page shows, and switches it off.
async function subscription(page, instance, { clipboard }) {
  await goTo(page, "subscriptions");
  await page.locator(".toolbar").getByRole("button", { name: "Add a subscription" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name", { exact: true }).fill("tablet");
  await dialog.getByLabel("Also take nodes on private addresses").check();
  await dialog.getByRole("button", { name: "Add a subscription" }).click();
  await dialog.getByText("This address leads to this machine alone.").waitFor();
  await dialog.getByRole("button", { name: "Copy", exact: true }).click();
  const address = await clipboard();
  assert.match(address, /\/sub\/[A-Za-z0-9_-]{16,}$/);
  const read = async () => fetch(`${address}?target=links`);
  const answer = await read();
  assert.equal(answer.status, 200);
  assert.match(await answer.text(), /^\w+:\/\//);
  await dialog.getByRole("button", { name: "QR code" }).click();
  await page.locator("svg.qr").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");

  await page.getByRole("button", { name: "Disable: tablet" }).click();
  await page.getByRole("button", { name: "Enable: tablet" }).waitFor();
  assert.equal((await read()).status, 404, "a subscription that is disabled has no address");
  await page.getByRole("button", { name: "Remove: tablet" }).click();
  await dialog.getByRole("button", { name: "Remove", exact: true }).click();
  await page.getByRole("button", { name: "Enable: tablet" }).waitFor({ state: "detached" });
}

async function sourceActions(page, instance, { toast }) {
  await instance.ask("POST", "/api/v1/sources", { name: "paused-by-hand", links: ["trojan://secret@127.0.0.9:19?security=none#one"], allow_private: true });
  const enabled = async () => (await instance.ask("GET", "/api/v1/sources/paused-by-hand")).value.enabled;
  await goTo(page, "sources");
  await page.getByRole("button", { name: "Read now: paused-by-hand" }).click();
  await toast("The source was read.");
  await page.getByRole("button", { name: "Pause: paused-by-hand" }).click();
  await page.getByRole("button", { name: "Resume: paused-by-hand" }).waitFor();
  assert.equal(await enabled(), false);
  await page.getByRole("button", { name: "Resume: paused-by-hand" }).click();
  await page.getByRole("button", { name: "Pause: paused-by-hand" }).waitFor();
  assert.equal(await enabled(), true);
  await instance.ask("DELETE", "/api/v1/sources/paused-by-hand");
}

async function siteBan(page, instance) {
  const list = async () => (await instance.ask("GET", "/api/v1/bans/sites")).items;
  await goTo(page, "bans", "?of=sites");
  await page.getByRole("button", { name: "Ban an exit for a site" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Site", { exact: true }).fill("www.example.org");
  await dialog.getByLabel("Exit", { exact: true }).fill("203.0.113.7");
  await dialog.getByRole("button", { name: "Ban an exit for a site" }).click();
  await page.getByRole("button", { name: "Lift: example.org@203.0.113.7" }).waitFor();
  assert.deepEqual((await list()).map(({ site, exit }) => [site, exit]), [["example.org", "203.0.113.7"]]);
  await page.getByRole("button", { name: "Lift: example.org@203.0.113.7" }).click();
  await page.getByText("No exit is banned for a site.").waitFor();
  assert.deepEqual(await list(), []);
}

// The curves of the last day come from the store; the choice of the time stands in the address.
async function history(page) {
  await goTo(page, "overview");
  for (const [label, range] of [["24 hours", "day"], ["90 days", "quarter"], ["Now", "live"]]) {
    await page.getByRole("button", { name: label }).click();
    assert.match(page.url(), new RegExp(`range=${range}`));
    await page.locator(".chart canvas").first().waitFor();
  }
}
