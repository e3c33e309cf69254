// The page with many nodes: how long the nodes screen takes to open, to sort and to filter, what the tab and the program hold in
// memory, and what an open page costs the proxy's clients. Usage: node e2e/large.mjs PROGRAM [NODES]
//
// It prints figures and asserts nothing: they depend on the machine.

import { readFile } from "node:fs/promises";
import { Agent, request } from "node:http";

import { launch, openPage, signIn } from "./browser.mjs";
import { Instance } from "./instance.mjs";

const [program, wanted = "100000"] = process.argv.slice(2);
const NODES = Number(wanted);
const TURNS = 5;
const REQUESTS = 2000;
const AT_A_TIME = 8;
const PART = 20_000;

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const quantile = (values, share) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];

// Links to ports of this machine where nobody listens.
function links(from, to) {
  const lines = [];
  for (let number = from; number < to; number += 1) {
    const host = `127.${1 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
    lines.push(`trojan://secret${number}@${host}:9?security=none#node ${number}`);
  }
  return lines.join("\n");
}

async function fill(instance) {
  for (let from = 0; from < NODES; from += PART) {
    await instance.ask("POST", "/api/v1/nodes?allow_private=true", links(from, Math.min(NODES, from + PART)));
  }
}

// One plain request through the proxy; gives its time in milliseconds.
function through(proxy, agent) {
  const [host, port] = proxy.split(":");
  const began = performance.now();
  return new Promise((done, failed) => {
    const asked = request({ host, port, path: "http://demo.hezar/bytes/100", headers: { host: "demo.hezar" }, agent }, (answer) => {
      answer.resume();
      answer.on("end", () => done(performance.now() - began));
    });
    asked.on("error", failed);
    asked.end();
  });
}

async function load(proxy) {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_A_TIME });
  const times = [];
  let left = REQUESTS;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      times.push(await through(proxy, agent));
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  agent.destroy();
  return times;
}

async function memory(pid) {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}

// Waits until the first row is another one than `before`, and the count is shown.
const firstRow = (page) => page.locator(".tbody .tr").first().innerText();

async function change(page, action) {
  const began = performance.now();
  const answered = page.waitForResponse((answer) => answer.url().includes("/api/v1/nodes?"));
  await action();
  await answered;
  await page.waitForFunction(() => document.querySelector(".tbody .tr, .table-screen .state") !== null);
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  return performance.now() - began;
}

const instance = await Instance.start(program, ["--demo"], { HEZAR_PROBE_CONCURRENCY: "50" });
const browser = await launch();
try {
  await instance.until("a healthy node", async () => (await instance.ask("GET", "/api/v1/status")).nodes.healthy > 0);
  const { proxy } = await instance.ask("GET", "/api/v1/status");
  await fill(instance);
  const { total } = await instance.ask("GET", "/api/v1/nodes?limit=1");
  console.log(`nodes                          ${total}`);
  console.log(`program, memory                ${(await memory(instance.child.pid)).toFixed(0)} MiB`);
  const without = await load(proxy);

  const { page, context } = await openPage(browser, instance);
  await signIn(page, instance);
  const opened = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    await page.goto("about:blank");
    const began = performance.now();
    await page.goto(`${instance.origin}/#/nodes`);
    await page.locator(".tbody .tr").first().waitFor();
    opened.push(performance.now() - began);
  }
  console.log(`nodes screen usable after      ${median(opened).toFixed(0)} ms (median of ${TURNS}: ${opened.map((ms) => ms.toFixed(0)).join(", ")})`);
  console.log(`first row                      ${(await firstRow(page)).replaceAll("\n", " · ")}`);

  const heads = page.locator(".tr.head").getByRole("button");
  const columns = await heads.count();
  const sorted = [];
  for (let turn = 0; turn < TURNS; turn += 1) sorted.push(await change(page, () => heads.nth(turn % columns).click()));
  console.log(`sort                           ${median(sorted).toFixed(0)} ms (${sorted.map((ms) => ms.toFixed(0)).join(", ")})`);
  const filtered = [];
  const states = ["dead", "healthy", "new", "dead", ""];
  for (const state of states) filtered.push(await change(page, () => page.locator(".toolbar select").first().selectOption(state)));
  console.log(`filter                         ${median(filtered).toFixed(0)} ms (${filtered.map((ms) => ms.toFixed(0)).join(", ")})`);

  const session = await context.newCDPSession(page);
  await session.send("Performance.enable");
  const { metrics } = await session.send("Performance.getMetrics");
  const heap = metrics.find((metric) => metric.name === "JSHeapUsedSize")?.value ?? 0;
  const nodes = metrics.find((metric) => metric.name === "Nodes")?.value ?? 0;
  console.log(`tab, script heap               ${(heap / 2 ** 20).toFixed(1)} MiB, ${nodes} nodes in the document`);
  const beside = await load(proxy);
  for (const [name, times] of [["without the page", without], ["beside the open page", beside]]) {
    console.log(`proxy ${name.padEnd(24)} p50 ${median(times).toFixed(1)} ms, p99 ${quantile(times, 0.99).toFixed(1)} ms`);
  }
  console.log(`program, memory                ${(await memory(instance.child.pid)).toFixed(0)} MiB`);
} finally {
  await browser.close();
  await instance.stop();
}
