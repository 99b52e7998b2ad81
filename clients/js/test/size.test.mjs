// The library is small: what it weighs is stated in its README, and checked.
import assert from "node:assert/strict";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";

/** In bytes, minified and gzipped, without centrifuge. */
const SIZE_MAX = 12 * 1024;

test("the library is at most 12 KiB without centrifuge", async (t) => {
  const entry = fileURLToPath(new URL("../dist/index.js", import.meta.url));
  const lib = { entry, formats: ["es"], fileName: "confab" };
  const [{ output }] = await build({ configFile: false, logLevel: "silent", build: { write: false, minify: true, lib, rollupOptions: { external: ["centrifuge"] } } });
  const size = gzipSync(output[0].code, { level: 9 }).length;
  t.diagnostic(`${(size / 1024).toFixed(1)} KiB`);
  assert.ok(size > 1024, "there is something in it");
  assert.ok(size <= SIZE_MAX, `${size} bytes`);
});
