// Debian's Chromium, and a page in it that notes everything that must not happen: an error on the console, a request to the
// outside, a file that the policy forbids.

import { chromium } from "playwright-core";

const PROGRAM = process.env.CHROMIUM ?? "/usr/bin/chromium";

export function launch() {
  // The tests run as root in containers, where Chromium's own sandbox cannot.
  return chromium.launch({ executablePath: PROGRAM, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
}

export async function openPage(browser, instance, { width = 1440, height = 900, language = "en", theme = "light", grant = [] } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, locale: language === "fa" ? "fa-IR" : "en-GB", permissions: grant });
  await context.addInitScript(
    ([language, theme]) => {
      localStorage.setItem("hezar.language", JSON.stringify(language));
      localStorage.setItem("hezar.theme", JSON.stringify(theme));
    },
    [language, theme],
  );
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(`console: ${message.text()} ${message.location().url}`));
  page.on("pageerror", (error) => complaints.push(`exception: ${error.stack ?? error}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    const own = url.origin === instance.origin || url.protocol === "data:" || url.protocol === "blob:";
    if (!own) complaints.push(`request to the outside: ${url}`);
  });
  return { context, page, complaints };
}

// Opens the address that `hezar page` prints, which signs the browser in.
export async function signIn(page, instance) {
  const address = new URL((await instance.command("page", "--print")).trim());
  await page.goto(`${instance.origin}/${address.hash}`);
  await page.locator("nav").waitFor({ state: "attached" });
}

export async function goTo(page, screen, query = "") {
  await page.evaluate((hash) => {
    location.hash = hash;
  }, `#/${screen}${query}`);
  await settled(page);
}

// Waits until nothing on the screen is loading.
export async function settled(page) {
  await page.waitForFunction(() => document.querySelector("main h1") !== null && document.querySelector("main .spinner") === null);
}
