// Two tabs of a real browser chat through the hub's own page; one loses its link and catches up.
//
//   CHROMIUM=/usr/bin/chromium node two-tabs.mjs ws://127.0.0.1:8000/connection/websocket [SCREENSHOT.png]

import assert from "node:assert/strict";
import { launch, tab as open } from "./browser.mjs";

const hub = process.argv[2] ?? "ws://127.0.0.1:8000/connection/websocket";
const page = (user) => `${hub.replace(/^ws/, "http").replace(/\/connection.*$/, "/")}?user=${user}&room=two-tabs`;
const browser = await launch();
try {
  // A context each, as two people have; so one can go offline alone.
  const [ada, bob] = await Promise.all(["ada", "bob"].map(async (user) => {
    const tab = await open(browser, page(user));
    await tab.getByText("in two-tabs").waitFor();
    return tab;
  }));
  const say = async (tab, text) => {
    await tab.getByLabel("Message", { exact: true }).fill(text);
    await tab.getByRole("button", { name: "Send" }).click();
  };
  const heard = (tab) => tab.locator("#log li").allTextContents();

  await say(ada, "hello, bob");
  await bob.getByText("hello, bob").waitFor();
  await say(bob, "<b>hello</b>, ada");
  await ada.getByText("<b>hello</b>, ada").waitFor(); // text stays text

  await bob.evaluate(() => socket.close()); // the link is cut under the page
  await say(ada, "are you there?");
  await bob.getByText("are you there?").waitFor(); // it came back by itself and caught up
  await say(bob, "yes");
  await ada.getByText("bobyes").waitFor();

  const expected = ["adahello, bob", "bob<b>hello</b>, ada", "adaare you there?", "bobyes"];
  assert.deepEqual(await heard(ada), expected);
  assert.deepEqual(await heard(bob), expected);
  if (process.argv[3]) await ada.screenshot({ path: process.argv[3] });
  console.log(JSON.stringify({ ok: true, heard: expected.length }));
} finally {
  await browser.close();
}
