// Starts and ends the program under test, in a folder of its own, on ports that the system chooses.

import { spawn, execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const START_MS = 60_000;

export class Instance {
  constructor(program, child, data, note, log) {
    Object.assign(this, { program, child, data, log, api: note.api, token: note.token });
    // Where the page is. While it is developed, `vite preview` may stand in front of a program at a fixed address (PAGE_API).
    this.origin = process.env.PAGE_ORIGIN ?? `http://${note.api}`;
  }

  // Starts `hezar run` with more arguments, and waits until its API answers.
  static async start(program, args, environment = {}) {
    program = resolve(program);
    const data = await mkdtemp(join(tmpdir(), "hezar-page-"));
    const log = [];
    const child = spawn(program, ["--data", data, "run", "--listen", "127.0.0.1:0", "--api", process.env.PAGE_API ?? "127.0.0.1:0", ...args], {
      cwd: data,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...environment, XDG_STATE_HOME: data },
    });
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => log.length < 2000 && log.push(String(text)));
    const end = Date.now() + START_MS;
    while (Date.now() < end && child.exitCode === null) {
      const note = await readFile(join(data, "instance.json"), "utf8").then(JSON.parse, () => undefined);
      if (note !== undefined && (await fetch(`http://${note.api}/healthz`).then((answer) => answer.ok, () => false))) {
        return new Instance(program, child, data, note, log);
      }
      await new Promise((done) => setTimeout(done, 50));
    }
    child.kill("SIGKILL");
    throw new Error(`the program did not start:\n${log.join("")}`);
  }

  // Asks the API as a program does.
  async ask(method, path, body) {
    const headers = { authorization: `Bearer ${this.token}` };
    const answer = await fetch(`${this.origin}${path}`, { method, headers, body: typeof body === "object" ? JSON.stringify(body) : body });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  // Runs a command of the program against this instance; gives its output.
  async command(...words) {
    const { stdout } = await run(this.program, ["--data", this.data, ...words], { cwd: this.data, env: { ...process.env, XDG_STATE_HOME: this.data } });
    return stdout;
  }

  // Waits until `ready` gives a value.
  async until(what, ready, ms = 60_000) {
    const end = Date.now() + ms;
    for (;;) {
      const value = await ready();
      if (value) return value;
      if (Date.now() > end) throw new Error(`gave up waiting for ${what}`);
      await new Promise((done) => setTimeout(done, 100));
    }
  }

  async stop() {
    const ended = new Promise((done) => this.child.once("exit", done));
    if (this.child.exitCode === null) {
      this.child.kill("SIGTERM");
      const timer = setTimeout(() => this.child.kill("SIGKILL"), 10_000);
      await ended;
      clearTimeout(timer);
    }
    await rm(this.data, { recursive: true, force: true });
  }
}
