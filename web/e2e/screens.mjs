// Every screen at three widths, in both themes and both languages: a screenshot of each, axe-core without violations, nothing on
// the console, nothing wider than the page.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";

import { goTo, openPage, signIn } from "./browser.mjs";
import { populate } from "./world.mjs";

const WIDTHS = [1440, 768, 390];
const axeSource = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

async function violations(page) {
  await page.evaluate(axeSource);
  const result = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  return result.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target.join(" ")} (${node.failureSummary})`).slice(0, 3).join("; ")}`);
}

// What is not a screen of its own, and is looked at all the same: details, forms, the second table of bans.
async function dialogs(instance) {
  const { nodes } = await instance.ask("GET", "/api/v1/nodes?state=healthy&limit=1");
  return [
    ["nodes", `?node=${nodes[0].id}`, "node"],
    ["sources", "?open=friends", "source"],
    ["users", "?open=dana", "user"],
    ["subscriptions", "?open=phone", "subscription"],
    ["settings", "?open=probe.interval", "setting"],
    ["bans", "?of=sites", "site-bans"],
  ];
}

export async function allScreens(browser, instance, folder) {
  const end = await populate(instance);
  let shots = 0;
  const found = [];
  for (const language of ["en", "fa"]) {
    for (const theme of ["light", "dark"]) {
      const { context, page, complaints } = await openPage(browser, instance, { language, theme });
      await signIn(page, instance);
      const screens = await page.locator("nav a").evaluateAll((links) => links.map((link) => link.getAttribute("href").replace("#/", "")));
      assert.ok(screens.length > 5, `only ${screens.length} screens`);
      // One language in each theme is enough for these.
      const further = (language === "en") === (theme === "light") ? await dialogs(instance) : [];
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 900 });
        for (const [screen, query, what] of [...screens.map((screen) => [screen, "", screen]), ...further]) {
          await goTo(page, screen, query);
          const name = `${what}-${width}-${theme}-${language}`;
          await page.screenshot({ path: `${folder}/${name}.png` });
          shots += 1;
          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          if (overflow > 0) found.push(`${name}: ${overflow} px wider than the page`);
          // What changes with the width alone is seen at the ends.
          if (width !== 768) found.push(...(await violations(page)).map((text) => `${name}: ${text}`));
        }
      }
      const direction = await page.evaluate(() => document.documentElement.dir);
      assert.equal(direction, language === "fa" ? "rtl" : "ltr");
      found.push(...complaints.map((text) => `${theme} ${language}: ${text}`));
      await context.close();
    }
  }
  end();
  assert.deepEqual(found, []);
  return shots;
}
