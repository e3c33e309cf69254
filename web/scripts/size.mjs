// Says how large the built page is when it is compressed, and fails where that is more than 250 KiB.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const MOST = 250 * 1024;
const folder = "dist/page";
let sum = 0;
for (const file of readdirSync(folder, { recursive: true, withFileTypes: true })) {
  if (!file.isFile()) continue;
  const size = gzipSync(readFileSync(join(file.parentPath, file.name)), { level: 9 }).length;
  sum += size;
  console.log(`${String(size).padStart(8)}  ${file.name}`);
}
console.log(`${String(sum).padStart(8)}  in all, of ${MOST}`);
process.exitCode = sum <= MOST ? 0 : 1;
