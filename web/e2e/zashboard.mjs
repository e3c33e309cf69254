// zashboard, as it is published and unchanged, in Debian's Chromium against the demonstration world: every page is filled, a node
// is selected by clicking and serves the next request, a node is tested, a connection is closed; then 10,000 nodes.
// Usage: node e2e/zashboard.mjs PROGRAM ZIP [FOLDER for screenshots]

import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { launch } from "./browser.mjs";
import { Instance } from "./instance.mjs";

const run = promisify(execFile);
const [program, zip, shots] = process.argv.slice(2);
if (program === undefined || zip === undefined) {
  console.error("usage: node e2e/zashboard.mjs PROGRAM ZIP [FOLDER]");
  process.exit(2);
}

// Nothing here may hang.
const deadline = setTimeout(() => {
  console.error("zashboard took longer than 4 minutes");
  process.exit(1);
}, 240_000);

// What zashboard asks other sites for by itself; none of it is needed.
const QUIET = ["check-upgrade-core", "auto-upgrade", "auto-upgrade-core", "auto-ip-check", "auto-connection-check"];

function check(condition, what) {
  if (!condition) throw new Error(what);
}

// A page of zashboard that is connected with the instance.
async function open(browser, instance) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, locale: "en-GB" });
  await context.addInitScript((keys) => {
    for (const key of keys) localStorage.setItem(`config/${key}`, "false");
  }, QUIET);
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const exceptions = [];
  page.on("pageerror", (error) => exceptions.push(String(error.stack ?? error)));
  // Nothing leaves this machine.
  await page.route((url) => url.origin !== instance.origin && url.protocol.startsWith("http"), (route) => route.abort());
  const [host, port] = instance.api.split(":");
  const query = new URLSearchParams({ hostname: host, port, secret: instance.token, http: "1", disableUpgradeCore: "1", label: "Hezar" });
  await page.goto(`${instance.origin}/ui/#/setup?${query}`);
  await page.waitForFunction(() => !location.hash.startsWith("#/setup"));
  return { page, exceptions, context };
}

async function goTo(page, screen) {
  await page.evaluate((hash) => {
    location.hash = hash;
  }, `#/${screen}`);
}

async function shows(page, text) {
  await page.waitForFunction((text) => document.body.innerText.includes(text), text);
}

async function shot(page, name) {
  if (shots === undefined) return;
  await mkdir(shots, { recursive: true });
  await page.screenshot({ path: join(shots, `zashboard-${name}.png`) });
}

// A request through the proxy; gives the name of the node that served it.
function servedBy(instance) {
  const [host, port] = instance.proxy.split(":");
  return new Promise((done, fail) => {
    const socket = net.connect(Number(port), host, () => socket.write("GET http://demo.hezar/ HTTP/1.1\r\nHost: demo.hezar\r\nConnection: close\r\n\r\n"));
    let text = "";
    socket.on("data", (data) => (text += data));
    socket.on("error", fail);
    socket.on("end", () => {
      const body = text.split("\r\n\r\n")[1] ?? "";
      done(JSON.parse(body).node);
    });
  });
}

// A tunnel that stays open; `ended` resolves when somebody closes it.
function openTunnel(instance) {
  const [host, port] = instance.proxy.split(":");
  return new Promise((done, fail) => {
    const socket = net.connect(Number(port), host, () => socket.write("CONNECT echo.hezar:7 HTTP/1.1\r\nHost: echo.hezar:7\r\n\r\nhello"));
    const ended = new Promise((closed) => socket.on("close", closed));
    let text = "";
    socket.on("data", (data) => {
      text += data;
      if (text.endsWith("hello")) done({ socket, ended });
    });
    socket.on("error", fail);
  });
}

// Asks for something that has no answer but its status.
async function send(instance, method, path, body) {
  const headers = { authorization: `Bearer ${instance.token}` };
  const answer = await fetch(`${instance.origin}${path}`, { method, headers, body: JSON.stringify(body) });
  check(answer.ok, `${method} ${path}: ${answer.status}`);
}

async function works(instance, count) {
  await instance.until(`${count} nodes that work`, async () => (await instance.ask("GET", "/api/v1/status")).nodes.healthy >= count);
  instance.proxy = (await instance.ask("GET", "/api/v1/status")).proxy;
}

const tests = {
  async "every page is filled"(browser, instance) {
    const { page, exceptions, context } = await open(browser, instance);
    await goTo(page, "proxies");
    for (const text of ["POOL", "SELECTOR · ", "AUTO", "LOADBALANCE · "]) await shows(page, text);
    await shot(page, "proxies");
    await page.getByText("Proxy provider", { exact: true }).click();
    await shows(page, "demo");
    await shot(page, "providers");
    await goTo(page, "rules");
    await shows(page, "Match");
    await shot(page, "rules");
    const tunnel = await openTunnel(instance);
    await goTo(page, "connections");
    await shows(page, "echo.hezar");
    await shows(page, "POOL");
    await shot(page, "connections");
    await goTo(page, "logs");
    await send(instance, "PUT", "/proxies/POOL", { name: "AUTO" });
    await shows(page, "selected by a dashboard");
    await shot(page, "logs");
    await goTo(page, "overview");
    await shows(page, "Memory usage");
    await page.waitForFunction(() => /Memory usage [1-9]/.test(document.body.innerText) && /hezar \d/.test(document.body.innerText));
    await shot(page, "overview");
    await goTo(page, "settings");
    await shows(page, "Mixed port");
    await shot(page, "settings");
    tunnel.socket.destroy();
    // Its look-ups at other sites fail here, as they should.
    const own = exceptions.filter((text) => !text.includes("Failed to fetch"));
    check(own.length === 0, `exceptions: ${own.join("\n")}`);
    await context.close();
  },

  async "a node that is clicked serves the next request, is tested, and a connection is closed"(browser, instance) {
    const { page, context } = await open(browser, instance);
    await goTo(page, "proxies");
    await shows(page, "POOL");
    const provider = (await instance.ask("GET", "/providers/proxies")).providers.demo;
    const names = provider.proxies.filter((node) => node.alive).map((node) => node.name);
    await page.getByText("POOL", { exact: true }).first().click();
    const card = (name) => page.locator(".proxies-scrollable-parent .cursor-pointer").filter({ has: page.getByText(name, { exact: true }) });
    for (const name of [names[2], names[5]]) {
      const put = page.waitForResponse((answer) => answer.request().method() === "PUT" && answer.url().endsWith("/proxies/POOL"));
      await card(name).first().click();
      check((await put).status() === 204, "the selection was refused");
      check((await servedBy(instance)) === name, `the next request leaves through ${name}`);
      check((await instance.ask("GET", "/proxies/POOL")).now === name, "the instance knows");
    }
    await shot(page, "selected");
    // A click on a latency tests the node.
    const test = page.waitForResponse((answer) => /\/(delay|healthcheck)\?/.test(answer.url()));
    await card(names[5]).first().locator(".latency-tag").click();
    const tested = await test;
    check(tested.status() === 200 && (await tested.json()).delay > 0, `the test says ${tested.status()}`);
    const tunnel = await openTunnel(instance);
    await goTo(page, "connections");
    const row = page.locator("tbody tr").filter({ hasText: "echo.hezar" });
    await row.waitFor();
    const closed = page.waitForResponse((answer) => answer.request().method() === "DELETE" && answer.url().includes("/connections/"));
    await row.locator("button").first().click();
    check((await closed).status() === 204, "the end of the connection was refused");
    await tunnel.ended;
    await context.close();
  },
};

async function attempt(name, test) {
  const began = Date.now();
  try {
    await test();
    console.log(`ok      ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    return true;
  } catch (error) {
    console.log(`FAILED  ${name}: ${error.stack ?? error}`);
    return false;
  }
}

// 10,000 nodes: how long until they are shown, and how many bytes each view costs. Figures, no judgement.
async function many(browser, dist) {
  const folder = await mkdtemp(join(tmpdir(), "hezar-many-"));
  const list = Array.from({ length: 10_000 }, (_, n) => `socks5://u${n}:x@127.1.${n >> 8}.${n & 255}:9#node ${n}`);
  await writeFile(join(folder, "list.txt"), list.join("\n"));
  const config = `[probe]\nurl = "http://127.0.0.1:9/"\ncontrol = []\ncanary_url = ""\ntrace_url = ""\n[[source]]\nname = "many"\nfile = "list.txt"\nallow_private = true\n`;
  await writeFile(join(folder, "hezar.toml"), config);
  const instance = await Instance.start(program, ["--config", join(folder, "hezar.toml")], { HEZAR_CLASH_UI: dist, HEZAR_CLASH_NODES: "10000" });
  try {
    await instance.until("10,000 nodes", async () => {
      const { nodes } = await instance.ask("GET", "/api/v1/status");
      return Object.values(nodes).reduce((sum, count) => sum + count, 0) >= 10_000;
    });
    for (const path of ["/proxies", "/providers/proxies"]) {
      const sizes = [];
      const times = [];
      for (const encoding of ["identity", "gzip"]) {
        const began = performance.now();
        const answer = await new Promise((done, fail) => {
          const [host, port] = instance.api.split(":");
          const socket = net.connect(Number(port), host, () =>
            socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${instance.token}\r\nAccept-Encoding: ${encoding}\r\nConnection: close\r\n\r\n`),
          );
          let bytes = 0;
          socket.on("data", (data) => (bytes += data.length));
          socket.on("error", fail);
          socket.on("end", () => done(bytes));
        });
        times.push((performance.now() - began).toFixed(0));
        sizes.push(answer);
      }
      console.log(`10,000 nodes: ${path} ${sizes[0]} bytes (${times[0]} ms), compressed ${sizes[1]} bytes (${times[1]} ms)`);
    }
    const began = performance.now();
    const { page, context } = await open(browser, instance);
    await goTo(page, "proxies");
    await shows(page, "POOL");
    console.log(`10,000 nodes: shown after ${((performance.now() - began) / 1000).toFixed(1)} s`);
    await shot(page, "many");
    await context.close();
  } finally {
    await instance.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

const unpacked = await mkdtemp(join(tmpdir(), "zashboard-"));
await run("python3", ["-m", "zipfile", "-e", zip, unpacked]);
const dist = join(unpacked, "dist");
const instance = await Instance.start(program, ["--demo"], { HEZAR_CLASH_UI: dist });
const browser = await launch();
let passed = 0;
let failed = 0;
try {
  await works(instance, 10);
  for (const [name, test] of Object.entries(tests)) {
    if (await attempt(name, () => test(browser, instance))) passed += 1;
    else failed += 1;
  }
  await instance.stop();
  if (await attempt("10,000 nodes are shown", () => many(browser, dist))) passed += 1;
  else failed += 1;
} finally {
  await browser.close();
  await instance.stop();
  await rm(unpacked, { recursive: true, force: true });
  clearTimeout(deadline);
}
console.log(`test result: ${failed === 0 ? "ok" : "FAILED"}. ${passed} passed; ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
