// The page with many nodes: how long the nodes screen takes to open, to sort and to filter, what the tab and the program hold in
// memory, and what an open page costs the proxy's clients. Usage: node e2e/large.mjs PROGRAM [NODES]
//
// It prints one table of figures and asserts nothing: they depend on the machine.

import { readFile } from "node:fs/promises";
import { Agent, request } from "node:http";

import { launch, openPage, signIn } from "./browser.mjs";
import { Instance } from "./instance.mjs";

const [program, wanted = "100000"] = process.argv.slice(2);
const NODES = Number(wanted);
const TURNS = 5;
const ROUNDS = 3;
const REQUESTS = 1000;
const AT_A_TIME = 8;
// Requests go to the nodes that answer fastest: slow nodes of the world would hide what the page costs.
const LOGIN = `Basic ${Buffer.from("load-strategy-least-latency:x").toString("base64")}`;
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
    const headers = { host: "demo.hezar", "proxy-authorization": LOGIN };
    const asked = request({ host, port, path: "http://demo.hezar/bytes/100", headers, agent }, (answer) => {
      answer.resume();
      answer.on("end", () => (answer.statusCode === 200 ? done(performance.now() - began) : failed(new Error(`the proxy answered ${answer.statusCode}`))));
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

// The resident memory of a process in MiB.
async function memory(pid) {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}

// The resident memory of the browser's largest renderer, which is the tab's, and the script's heap in it, in MiB.
async function tabMemory(browser, context, page) {
  const whole = await browser.newBrowserCDPSession();
  const { processInfo } = await whole.send("SystemInfo.getProcessInfo");
  const renderers = await Promise.all(processInfo.filter(({ type }) => type === "renderer").map(({ id }) => memory(id)));
  const session = await context.newCDPSession(page);
  await session.send("Performance.enable");
  const { metrics } = await session.send("Performance.getMetrics");
  const metric = (name) => metrics.find((one) => one.name === name)?.value ?? 0;
  return { resident: Math.max(0, ...renderers), heap: metric("JSHeapUsedSize") / 2 ** 20, elements: metric("Nodes") };
}

// The time from an action until the rows that it asks for are drawn.
async function change(page, action) {
  const began = performance.now();
  const answered = page.waitForResponse((answer) => answer.url().includes("/api/v1/nodes?"));
  await action();
  await answered;
  await page.waitForFunction(() => document.querySelector(".tbody .tr, .table-screen .state") !== null);
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  return performance.now() - began;
}

async function repeat(actions) {
  const times = [];
  for (const action of actions) times.push(await action());
  return times;
}

const rows = [];
const row = (what, figure, aim = "", each = []) => rows.push([what, figure, aim, each.map((value) => value.toFixed(0)).join(", ")]);
const ms = (value) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
const mib = (value) => `${value.toFixed(0)} MiB`;

function print() {
  const all = [["what", "figure", "aim", "each"], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((cells) => cells[column].length)));
  const line = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`;
  console.log([line(all[0]), `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`, ...all.slice(1).map(line)].join("\n"));
}

const instance = await Instance.start(program, ["--demo"], { HEZAR_PROBE_CONCURRENCY: "50" });
const browser = await launch();
try {
  await instance.until("healthy nodes", async () => (await instance.ask("GET", "/api/v1/status")).nodes.healthy > 5);
  const { proxy } = await instance.ask("GET", "/api/v1/status");
  await fill(instance);
  const { total } = await instance.ask("GET", "/api/v1/nodes?limit=1");
  row("nodes", String(total));
  row("Hezar, resident, before the page", mib(await memory(instance.child.pid)));

  const { page, context } = await openPage(browser, instance);
  await signIn(page, instance);
  const open = async () => {
    await page.goto("about:blank");
    const began = performance.now();
    await page.goto(`${instance.origin}/#/nodes`);
    await page.locator(".tbody .tr").first().waitFor();
    return performance.now() - began;
  };
  const opened = await repeat(Array.from({ length: TURNS }, () => open));
  row("nodes screen usable", ms(median(opened)), "1,000 ms", opened);

  const heads = page.locator(".tr.head").getByRole("button");
  const columns = await heads.count();
  const sorted = await repeat(Array.from({ length: TURNS }, (_, turn) => () => change(page, () => heads.nth(turn % columns).click())));
  row("sort", ms(median(sorted)), "300 ms", sorted);
  const state = page.locator(".toolbar select").first();
  const filtered = await repeat(["dead", "healthy", "new", "dead", ""].map((name) => () => change(page, () => state.selectOption(name))));
  row("filter", ms(median(filtered)), "300 ms", filtered);

  const tab = await tabMemory(browser, context, page);
  row("tab, resident", mib(tab.resident));
  row("tab, heap of the script", mib(tab.heap));
  row("tab, elements in the document", String(tab.elements));

  // The rounds alternate, so that both see the same of what else the machine does.
  const [without, beside] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    await page.goto("about:blank");
    without.push(...(await load(proxy)));
    await open();
    beside.push(...(await load(proxy)));
  }
  row("proxy without the page, p50", ms(median(without)));
  row("proxy beside the page, p50", ms(median(beside)));
  row("proxy without the page, p99", ms(quantile(without, 0.99)));
  row("proxy beside the page, p99", ms(quantile(beside, 0.99)));
  row("Hezar, resident, at the end", mib(await memory(instance.child.pid)));
} finally {
  print();
  await browser.close();
  await instance.stop();
}
