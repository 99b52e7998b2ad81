// A room with a long past: it opens at its end, older messages come without a jump, none is missing or there twice, whoever reads is
// left where they are, and what is new since the last visit stands under a line.
import assert from "node:assert/strict";
import { Centrifuge } from "centrifuge";
import WebSocket from "ws";
import { eventually, launch, pageOf, person } from "./common.mjs";

const hub = process.argv[2] ?? "ws://127.0.0.1:8000/connection/websocket";
const page = pageOf(hub);
const room = process.env.ROOM ?? `history-${Math.random().toString(36).slice(2, 8)}`;
const MESSAGES = 400;

const bob = new Centrifuge(hub, { websocket: WebSocket, data: { user: "bob" } });
bob.connect();
await bob.ready();
const say = (text) => bob.rpc("send", { room, body: { text } });
// Of different heights, so that what is not measured yet is guessed wrongly.
for (let n = 1; n <= MESSAGES; n++) await say(`message ${n} ${"and more words ".repeat(n % 7 === 0 ? 40 : n % 3)}`);

const browser = await launch();
try {
  const ada = await person(browser, page, { user: "ada", room });
  const log = ada.tab.getByRole("log");
  const numbers = async () => (await ada.heard()).map((text) => Number(/^message (\d+)/.exec(text)?.[1])).filter(Boolean);
  const fromEnd = () => log.evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight);
  await eventually("it opens at its end", async () => {
    const [last, rest] = [(await numbers()).at(-1), await fromEnd()];
    return (last === MESSAGES && rest < 2) || { last, rest };
  });

  const seen = new Set();
  await eventually("the past is read to its beginning", async () => {
    const now = await numbers();
    for (let i = 1; i < now.length; i++) assert.equal(now[i], now[i - 1] + 1, `messages follow one another: ${now}`);
    now.forEach((n) => seen.add(n));
    if (seen.has(1) && seen.size === MESSAGES) return true;
    await ada.tab.mouse.move(700, 400);
    await ada.tab.mouse.wheel(0, -500);
    return `${seen.size} of ${MESSAGES}`;
  }, 60_000);
  await ada.tab.getByText("This is where the room begins").waitFor();

  // Somebody speaks while one reads the past: one stays, and is offered to go there.
  const before = await numbers();
  await say("message 401 is new");
  const jump = ada.tab.getByRole("button", { name: "1 new message" });
  await jump.waitFor();
  assert.deepEqual(await numbers(), before, "whoever reads is left where they are");
  await jump.click();
  await eventually("the newest is in sight", async () => {
    const [last, rest] = [(await numbers()).at(-1), await fromEnd()];
    return (last === 401 && rest < 2) || { last, rest };
  });
  await eventually("it is read", async () => (await ada.tab.title()) === `#${room} · Confab` || ada.tab.title());

  // Away, and back: what was said meanwhile stands under a line, until one leaves the room.
  await ada.tab.goto("about:blank");
  for (let n = 402; n <= 440; n++) await say(`message ${n}`);
  await ada.tab.goto(`${page}#room=${room}`);
  await ada.tab.getByRole("button", { name: "Jump to what is new" }).click();
  await ada.tab.getByText("New", { exact: true }).waitFor();
  await eventually("the line stands before what is new", async () => {
    const rows = await ada.tab.locator(".divider.new, article .content").allInnerTexts();
    return JSON.stringify(rows.slice(rows.indexOf("New"), rows.indexOf("New") + 3)) === JSON.stringify(["New", "message 402", "message 403"]) || rows;
  });

  await ada.tab.getByRole("button", { name: "Jump to the newest" }).click();
  await eventually("it goes when the line was seen", async () => (await fromEnd()) < 2 && (await ada.tab.getByRole("button", { name: "Jump to what is new" }).count()) === 0);

  // An older page does not move what is in sight.
  await log.evaluate((box) => (box.scrollTop = box.scrollHeight));
  let moved = 0;
  for (let turn = 0; turn < 12; turn++) {
    await ada.tab.mouse.move(700, 400);
    await ada.tab.mouse.wheel(0, -300);
    await ada.tab.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    const at = await top(ada.tab);
    await ada.tab.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    const later = await ada.tab.locator(`article[data-key="${at.key}"]`).evaluate((one) => one.getBoundingClientRect().top).catch(() => at.y);
    moved = Math.max(moved, Math.abs(later - at.y));
  }
  assert.ok(moved < 40, `what is in sight stays: it moved by ${moved} pixels`);
  assert.deepEqual(ada.errors, []);
  console.log(JSON.stringify({ ok: true, moved }));
} finally {
  await browser.close();
  bob.disconnect();
}

/** The first message in sight, and where it is. */
function top(tab) {
  return tab.getByRole("log").evaluate((box) => {
    const edge = box.getBoundingClientRect().top;
    const first = [...box.querySelectorAll("article")].find((one) => one.getBoundingClientRect().top >= edge);
    return { key: first.dataset.key, y: first.getBoundingClientRect().top };
  });
}
