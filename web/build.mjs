// Builds the web client into dist, compressed as well, and fails where it has become larger than it may be.
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { build } from "vite";

/** What a visitor loads to chat, in bytes of JavaScript, gzipped. */
const SCRIPT_MAX = 170 * 1024;
const COMPRESSED = /\.(js|css|svg|json)$/;

const dist = fileURLToPath(new URL("dist", import.meta.url));
await rm(join(dist, "assets"), { recursive: true, force: true });
await rm(join(dist, ".built-from"), { force: true });
await build({ root: fileURLToPath(new URL(".", import.meta.url)), logLevel: "warn" });

let script = 0;
const page = await readFile(join(dist, "index.html"), "utf8");
for (const name of await readdir(join(dist, "assets"))) {
  if (!COMPRESSED.test(name)) continue;
  const path = join(dist, "assets", name);
  const content = await readFile(path);
  const gzip = gzipSync(content, { level: 9 });
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } };
  await writeFile(`${path}.gz`, gzip);
  await writeFile(`${path}.br`, brotliCompressSync(content, quality));
  if (page.includes(name) && name.endsWith(".js")) script += gzip.length;
}
console.log(`the page loads ${(script / 1024).toFixed(1)} KiB of JavaScript, gzipped`);
if (script === 0) throw new Error("the page loads no script: did the build change its names?");
if (script > SCRIPT_MAX) throw new Error(`the page loads ${script} bytes of JavaScript, gzipped; it may load ${SCRIPT_MAX}`);
