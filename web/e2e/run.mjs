// The page in a real browser against the demonstration world. Usage: node e2e/run.mjs PROGRAM FOLDER [TEST…]

import { mkdir } from "node:fs/promises";

import { actions } from "./actions.mjs";
import { launch } from "./browser.mjs";
import { firstStart } from "./first-start.mjs";
import { Instance } from "./instance.mjs";
import { allScreens } from "./screens.mjs";
import { states } from "./states.mjs";
import { tables } from "./tables.mjs";

const [program, folder, ...wanted] = process.argv.slice(2);
if (program === undefined || folder === undefined) {
  console.error("usage: node e2e/run.mjs PROGRAM FOLDER [TEST…]");
  process.exit(2);
}

// Nothing here may hang: the whole run ends after twelve minutes.
const deadline = setTimeout(() => {
  console.error("the browser tests took longer than 12 minutes");
  process.exit(1);
}, 720_000);

const tests = { "first start": firstStart, states, actions, screens: allScreens, tables };
await mkdir(folder, { recursive: true });
const instance = await Instance.start(program, ["--demo"]);
const browser = await launch();
let passed = 0;
let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const began = Date.now();
  try {
    const result = await test(browser, instance, folder);
    passed += 1;
    console.log(`ok      ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)${result === undefined ? "" : ` ${result} screenshots`}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}: ${error.stack ?? error}`);
  }
}
await browser.close();
await instance.stop();
clearTimeout(deadline);
console.log(`page: ${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
