// A room in which 200 messages a second are said, while somebody types: no key is lost, all messages are there in order, and the page
// keeps up. Prints how long keys took to be seen, how long tasks were, and how much memory the page has.
//
//   node busy.mjs ws://… [--seconds 10]
import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { Centrifuge } from "centrifuge";
import WebSocket from "ws";
import { eventually, launch, pageOf, person } from "./common.mjs";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { seconds: { type: "string", default: "10" } } });
const [hub, seconds] = [positionals[0], Number(values.seconds)];
/** Each of so many people says 40 messages a second: less than a hub lets one user do. */
const PEOPLE = 5;
const EACH = 40;
const WORDS = "the quick brown fox jumps over the lazy dog and goes home ".repeat(4).slice(0, seconds * 12);
const room = `busy-${Math.random().toString(36).slice(2, 8)}`;
const page = pageOf(hub);

const people = await Promise.all(Array.from({ length: PEOPLE }, async (_, n) => {
  const one = new Centrifuge(hub, { websocket: WebSocket, data: { user: `user-${n}` } });
  one.connect();
  await one.ready();
  return one;
}));
const browser = await launch();
try {
  const begun = Date.now();
  const ada = await person(browser, page, { user: "ada", room });
  const opened = Date.now() - begun;
  const memory = async () => {
    const devtools = await ada.context.newCDPSession(ada.tab);
    await devtools.send("HeapProfiler.collectGarbage");
    return (await ada.tab.evaluate(() => performance.memory.usedJSHeapSize)) / 2 ** 20;
  };
  await ada.tab.evaluate(() => {
    window.seen = { tasks: [], keys: [], shift: 0 };
    new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => seen.tasks.push(duration))).observe({ type: "longtask" });
    new PerformanceObserver((list) => list.getEntries().forEach(({ name, duration }) => name === "keydown" && seen.keys.push(duration))).observe({ type: "event", durationThreshold: 16 });
  });
  const before = await memory();
  let said = 0;
  const sends = [];
  const total = PEOPLE * EACH * seconds;
  const beat = setInterval(() => {
    for (let n = 0; n < 10 && said < total; n++) sends.push(people[said % PEOPLE].rpc("send", { room, key: `k${said}`, body: { text: `number ${said++}` } }));
  }, 50);
  await ada.box.pressSequentially(WORDS, { delay: (seconds * 900) / WORDS.length });
  assert.equal(await ada.box.inputValue(), WORDS, "no key is lost");
  await eventually("all is said", async () => said === total || said, seconds * 3000 + 20_000);
  clearInterval(beat);
  await Promise.all(sends);
  await eventually("the end is in sight", async () => {
    const heard = (await ada.heard()).map((text) => Number(/\d+/.exec(text)));
    return heard.length > 5 && Math.max(...heard) === total - 1 && new Set(heard).size === heard.length || heard;
  }, 60_000);
  const { tasks, keys } = await ada.tab.evaluate(() => seen);
  keys.sort((a, b) => a - b);
  const slow = keys.length / Math.max(1, WORDS.length);
  assert.deepEqual(ada.errors, []);
  const p95 = slow < 0.05 ? "under 16" : keys[Math.floor(WORDS.length * 0.95) - (WORDS.length - keys.length)];
  console.log(JSON.stringify({
    ok: true, messages: total, opened_ms: opened, keys: WORDS.length, key_p95_ms: p95, key_max_ms: keys.at(-1) ?? 0,
    long_tasks: tasks.length, longest_ms: Math.max(0, ...tasks), heap_mib: [before, await memory()].map((one) => Number(one.toFixed(1))),
  }));
} finally {
  await browser.close();
  people.forEach((one) => one.disconnect());
}
