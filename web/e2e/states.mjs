// What the page shows when something is not as it should be: no connection, nothing that fits, a screen that does not exist.

import assert from "node:assert/strict";

import { goTo, openPage, signIn } from "./browser.mjs";

export async function states(browser, instance) {
  const { context, page } = await openPage(browser, instance);
  await signIn(page, instance);
  await goTo(page, "nodes");
  await page.locator(".tbody .tr").first().waitFor();

  // Without a connection what was loaded stays, and the page comes back by itself.
  const banner = page.getByText("Hezar does not answer.");
  await context.setOffline(true);
  await banner.waitFor();
  assert.ok((await page.locator(".tbody .tr").count()) > 0, "the rows stay");
  await context.setOffline(false);
  await banner.waitFor({ state: "detached" });

  // The filters stand in the address: a reload keeps them.
  await page.keyboard.press("/");
  await page.keyboard.type("no node is called like this");
  await page.getByText("Nothing fits the search and the filters.").waitFor();
  assert.match(page.url(), /q=no\+node/);
  await page.reload();
  await page.getByRole("button", { name: "Clear search and filters" }).click();
  await page.locator(".tbody .tr").first().waitFor();

  // The keyboard alone opens a node and closes it again.
  await page.locator(".tbody .tr button.link").first().focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByText("Last success").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });

  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "CSV" }).click()]);
  assert.equal(download.suggestedFilename(), "hezar-nodes.csv");

  await goTo(page, "nothing-here");
  await page.getByText("The address names a screen that does not exist.").waitFor();
  await context.close();
}
