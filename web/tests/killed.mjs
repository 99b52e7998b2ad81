// The hub is killed under people who write, and comes back: each message is said once, in the order of its author, and seen by all.
//
//   node killed.mjs ws://… --pid THE_HUB    (somebody else starts it again)
import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { eventually, launch, pageOf, person } from "./common.mjs";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { pid: { type: "string" } } });
const page = pageOf(positionals[0]);
const browser = await launch();
try {
  const [ada, bob] = await Promise.all(["ada", "bob"].map((user) => person(browser, page, { user, room: "killed" })));
  const wanted = Array.from({ length: 30 }, (_, n) => `message ${n}.`);
  for (const [n, text] of wanted.entries()) {
    await ada.say(text);
    if (n === 10) process.kill(Number(values.pid), "SIGKILL"); // in the midst of it
  }
  await ada.box.pressSequentially("half a sen");
  for (const one of [ada, bob]) {
    await eventually("each is said once, in order", async () => {
      const heard = (await one.tab.locator("article.sent .content").allInnerTexts()).filter((text) => text.startsWith("message"));
      const top = heard[0] && wanted.slice(wanted.indexOf(heard[0]));
      return (heard.at(-1) === wanted.at(-1) && JSON.stringify(heard) === JSON.stringify(top)) || heard;
    }, 90_000);
    assert.equal(await one.tab.locator("article:not(.sent)").count(), 0, "nothing is left on its way");
  }
  assert.equal(await ada.box.inputValue(), "half a sen", "what was being written is still there");
  await bob.tab.reload();
  await eventually("it is what the hub has", async () => (await bob.heard()).slice(-5).join() === wanted.slice(-5).join() || bob.heard());
  assert.deepEqual([ada.errors, bob.errors], [[], []]);
  console.log(JSON.stringify({ ok: true }));
} finally {
  await browser.close();
}
