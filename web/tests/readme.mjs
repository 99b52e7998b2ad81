// The programs of the READMEs of @confab/client and @confab/react, built from packed packages as a newcomer builds them, chat.
//
//   node readme.mjs ws://… --port THE_PORT_OF_AN_ALLOWED_ORIGIN
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { launch } from "./common.mjs";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { port: { type: "string" } } });
const root = fileURLToPath(new URL("../..", import.meta.url));
const run = async (program, given, cwd) => (await promisify(execFile)(program, given, { cwd })).stdout;
const folder = await mkdtemp(join(tmpdir(), "confab-readme-"));
const TYPES = { html: "text/html", js: "text/javascript", css: "text/css" };

/** The files that a README shows, by their names: `name`: and then a block. */
async function filesOf(readme) {
  const text = await readFile(join(root, readme), "utf8");
  return [...text.matchAll(/^`([\w.]+)`:\n\n```\w+\n(.*?)^```$/gms)].map(([, name, content]) => [name, content.replace("ws://127.0.0.1:8000/connection/websocket", positionals[0])]);
}

const browser = await launch();
let built;
const server = http.createServer(async (request, response) => {
  const path = new URL(request.url, "http://localhost").pathname;
  const file = path === "/" ? "/index.html" : path;
  const content = await readFile(join(built, file)).catch(() => undefined);
  response.writeHead(content ? 200 : 404, { "content-type": TYPES[file.split(".").pop()] ?? "text/plain" });
  response.end(content);
});
try {
  await new Promise((resolve) => server.listen(Number(values.port), "127.0.0.1", resolve));
  const packed = [];
  for (const name of ["js", "react"]) {
    const [{ filename }] = JSON.parse(await run("npm", ["pack", "--json", "--pack-destination", folder], join(root, "clients", name)));
    packed.push(join(folder, filename));
  }
  for (const [readme, needs] of [["clients/js/README.md", packed.slice(0, 1)], ["clients/react/README.md", [...packed, "react@19.3.1", "react-dom@19.3.1"]]]) {
    const chat = await mkdtemp(join(folder, "chat-"));
    const files = await filesOf(readme);
    if (files.length !== 2) throw new Error(`${readme} shows ${files.length} files`);
    await run("npm", ["init", "-y"], chat);
    await run("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", ...needs, "centrifuge@5.8.0", "vite@8.4.0"], chat);
    for (const [name, content] of files) await writeFile(join(chat, name), content);
    await run("npx", ["vite", "build", "--logLevel", "warn"], chat);
    built = join(chat, "dist");
    const tabs = [];
    for (const user of ["ada", "bob"]) {
      const tab = await (await browser.newContext()).newPage();
      tab.on("pageerror", (error) => { throw error; });
      await tab.goto(`http://127.0.0.1:${values.port}/?user=${user}`);
      tabs.push(tab);
    }
    const [ada, bob] = tabs;
    const words = `hello from ${readme}`;
    await ada.locator("input").pressSequentially(words);
    await bob.getByText("ada typing").waitFor();
    await ada.keyboard.press("Enter");
    await bob.getByText(`ada: ${words}`, { exact: true }).waitFor();
    await ada.getByText(`ada: ${words}`, { exact: true }).waitFor();
    await Promise.all(tabs.map((tab) => tab.context().close()));
  }
  console.log(JSON.stringify({ ok: true }));
} finally {
  server.close();
  await browser.close();
  await rm(folder, { recursive: true, force: true });
}
