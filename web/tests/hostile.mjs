// Hostile content: nothing of it runs, nothing of it breaks the page, and nothing leads anywhere that it does not say.
import assert from "node:assert/strict";
import { Centrifuge } from "centrifuge";
import WebSocket from "ws";
import { eventually, launch, pageOf, person } from "./common.mjs";

const hub = process.argv[2] ?? "ws://127.0.0.1:8000/connection/websocket";
const page = pageOf(hub);
const room = "hostile";
const NAME = '<img src=x onerror="window.broken=1">';

const mallory = new Centrifuge(hub, { websocket: WebSocket, data: { user: NAME } });
mallory.connect();
await mallory.ready();
const say = (text, format = "markdown") => mallory.rpc("send", { room, body: { text, format } });

const browser = await launch();
try {
  const ada = await person(browser, page, { user: "ada", room });
  await ada.tab.evaluate(() => (window.broken = 0));
  await say('<script>window.broken=1</script><img src=x onerror="window.broken=1"> markup');
  await say("[click me](javascript:window.broken=1) and [data](data:text/html,<script>window.broken=1</script>) scripts");
  await say("[https://bank.example](https://evil.example/login) elsewhere");
  await say("https://xn--pypal-4ve.com/ and https://pаypal.com/ homograph");
  await say("safe \u202Egnp.exe\u202C behind \u2066\u202E override");
  await say("z\u0300\u0301\u0302".repeat(800) + " marks");
  await say("```\n" + "x".repeat(20_000) + "\n``` long line");
  await say("w".repeat(28_000) + " wide");
  await say("**".repeat(9_000) + " stars");
  await say("> ".repeat(3_000) + " quotes");
  await say("[".repeat(5_000) + "](".repeat(5_000) + " brackets");
  await mallory.rpc("send", { room, body: { text: { toString: "no" } } });
  await mallory.rpc("send", { room, body: ["no text"] });
  await mallory.rpc("send", { room, body: { text: "x", format: { a: 1 } } });
  const { data } = await say("many reactions");
  for (let n = 0; n < 60; n++) await mallory.rpc("react", { room, target: data.id, reaction: `:r${n}:` });
  await say("\u05D0\u05D1\u05D2 right to left, the end");
  await ada.message("right to left, the end").waitFor();

  // What is far too large is refused, and the client says so beside it.
  await ada.box.fill("h".repeat(100 * 1024));
  await ada.tab.getByText("characters too long").waitFor();
  assert.ok(await ada.tab.getByRole("button", { name: "Send" }).isDisabled());
  await ada.box.fill("");

  // From the end to the beginning, so that each was in the page.
  const log = ada.tab.getByRole("log");
  const seen = new Set();
  await eventually("everything was shown", async () => {
    for (const text of await ada.heard()) for (const word of ["markup", "scripts", "elsewhere", "homograph", "override", "marks", "long line", "wide", "stars", "quotes", "brackets", "no text", "many reactions"]) if (text.includes(word)) seen.add(word);
    const wide = await log.evaluate((box) => box.scrollWidth > box.clientWidth);
    assert.equal(wide, false, "nothing makes the list wider than it is");
    assert.deepEqual(await links(ada.tab), [], "every link leads where one may be led");
    await log.evaluate((box) => (box.scrollTop = Math.max(0, box.scrollTop - 300)));
    return seen.size === 13 || [...seen].join();
  }, 60_000);
  assert.equal(await ada.tab.evaluate(() => window.broken), 0, "nothing ran");
  assert.equal(await ada.tab.locator("article img, article script, article iframe").count(), 0);
  await ada.say("I am still here");
  await ada.message("I am still here").waitFor();
  assert.deepEqual(ada.errors, []);
  console.log(JSON.stringify({ ok: true }));
} finally {
  await browser.close();
  mallory.disconnect();
}

/** Links that are none: to something else than a page or an address, or whose words name another host than they lead to. */
async function links(tab) {
  return tab.locator("article a").evaluateAll((all) =>
    all
      .filter((link) => {
        const honest = link.textContent.includes(link.host) || link.nextElementSibling?.textContent.includes(link.host);
        return !/^(https?|mailto):/.test(link.protocol) || !honest || !link.rel.includes("noopener");
      })
      .map((link) => link.outerHTML),
  );
}
