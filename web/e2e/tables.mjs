// What every table has: a search, filters that stand in the address, an order by a click on a head, a choice of columns, CSV.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

import { goTo, openPage, signIn } from "./browser.mjs";

// Screens without a table: they show forms, cards or lines of text.
const WITHOUT = ["overview", "start", "explain", "log"];
// A list that has one order alone, that of time.
const ONE_ORDER = ["audit"];

export async function tables(browser, instance) {
  const { context, page, complaints } = await openPage(browser, instance);
  await signIn(page, instance);
  const links = await page.locator("nav a").evaluateAll((all) => all.map((link) => link.getAttribute("href").replace("#/", "")));
  const screens = [...links.filter((name) => !WITHOUT.includes(name)), "bans?of=sites"];
  for (const name of screens) {
    const [screen, query = ""] = name.split("?");
    await goTo(page, screen, query === "" ? "" : `?${query}`);
    const toolbar = page.locator(".toolbar");
    await toolbar.getByRole("searchbox").waitFor();

    // The choice of columns: the last one is taken away, and comes back.
    await toolbar.getByText("Columns", { exact: true }).click();
    const boxes = toolbar.locator(".menu[open] input[type=checkbox]");
    await boxes.first().waitFor();
    await boxes.last().uncheck();
    await boxes.last().check();
    await page.keyboard.press("Escape");
    assert.equal(await page.locator(".menu[open]").count(), 0, `${name}: Escape closes the menu`);

    const [saved] = await Promise.all([page.waitForEvent("download"), toolbar.getByRole("button", { name: "CSV" }).click()]);
    const csv = await readFile(await saved.path(), "utf8");
    const rows = csv.trim().split("\r\n").length - 1;
    if ((await page.locator(".tbody .tr").count()) === 0) continue;
    assert.ok(rows > 0, `${name}: the CSV file has no row`);

    if (!ONE_ORDER.includes(name)) {
      const head = page.locator(".tr.head").getByRole("button").first();
      await head.click();
      assert.match(page.url(), /sort=/, `${name}: the order stands in the address`);
      assert.equal(await page.locator("[aria-sort=ascending]").count(), 1, name);
      await head.click();
      assert.equal(await page.locator("[aria-sort=descending]").count(), 1, name);
    }

    await filterBy(page, name);
  }
  assert.deepEqual(complaints, []);
  await context.close();
}

// Chooses something in the first filter, beside the search or in the menu; it stands in the address, and one click takes all away.
async function filterBy(page, name) {
  const toolbar = page.locator(".toolbar");
  const before = new URL(page.url()).hash;
  const select = toolbar.locator("> select:not([aria-label^='All of'])").first();
  const text = toolbar.locator("> input[type=text]").first();
  if ((await select.count()) > 0) {
    const values = await select.locator("option").evaluateAll((options) => options.map((option) => option.value).filter(Boolean));
    assert.ok(values.length > 0, `${name}: nothing to choose`);
    await select.selectOption(values.at(-1));
  } else {
    assert.ok((await text.count()) > 0, `${name}: no filter`);
    await text.fill("192.0.2.99");
    await text.press("Enter");
    await page.getByText("Nothing fits the search and the filters.").waitFor();
  }
  await page.waitForFunction((hash) => location.hash !== hash, before);
  await page.locator(".table-screen .state button, .tbody .tr").first().waitFor();
}
