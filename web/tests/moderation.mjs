// What plugins and a moderator do to a message is told on the message: refused, rewritten, held, published after all, declined.
//
//   node moderation.mjs ws://… --secret THE_HMAC_SECRET
import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { Confab } from "@confab/client";
import WebSocket from "ws";
import { eventually, launch, pageOf, person, token } from "./common.mjs";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { secret: { type: "string" } } });
const page = pageOf(positionals[0]);
const room = `moderation-${Math.random().toString(36).slice(2, 8)}`;
const browser = await launch();
try {
  const signed = (sub, roles = []) => token(values.secret, { sub, roles, info: { name: sub[0].toUpperCase() + sub.slice(1) } });
  const ada = await person(browser, page, { token: signed("ada"), room });
  const bob = await person(browser, page, { token: signed("bob"), room });
  const mia = await person(browser, page, { token: signed("mia", ["moderator"]), room });
  assert.ok(!ada.tab.url().includes("token"), "a token does not stay in the address");

  // Refused: on the message, with the plugin's reason; changed, it goes out.
  await ada.say("buy spam now");
  const refused = ada.message("buy spam now");
  await refused.getByText("Not sent.").waitFor();
  await refused.getByText("a word that is not welcome").waitFor();
  await refused.getByRole("button", { name: "Try again" }).click();
  await refused.getByText("Not sent.").waitFor();
  await refused.getByRole("button", { name: "Edit" }).click();
  await eventually("its text is in the box", async () => (await ada.box.inputValue()) === "buy spam now");
  await ada.say("buy ham now");
  await bob.message("buy ham now").waitFor();
  assert.equal(await ada.message("buy spam now").count(), 0);
  await bob.message("buy ham now").getByText("Ada", { exact: true }).waitFor(); // the name that the token gives

  // Rewritten: both see what the plugin made of it, and only that.
  await ada.say("darn it");
  await bob.message("**** it").waitFor();
  await ada.message("**** it").waitFor();
  assert.equal(await ada.message("darn").count(), 0);

  // An edit that is refused leaves the message as it was, and says why.
  await ada.box.press("ArrowUp");
  await ada.tab.getByRole("textbox", { name: "Edit the message" }).fill("spam it");
  await ada.tab.keyboard.press("Enter");
  await ada.message("**** it").getByText("Your edit was not taken.").waitFor();
  await ada.message("**** it").getByRole("button", { name: "Got it" }).click();

  // Held: nobody else sees it; a moderator publishes one and declines the other.
  await ada.say("I won the lottery");
  await ada.say("the lottery again");
  for (const text of ["I won the lottery", "the lottery again"]) await ada.message(text).getByText("Waiting for a moderator.").waitFor();
  await ada.say("after both");
  await bob.message("after both").waitFor();
  assert.deepEqual(await bob.heard(), ["buy ham now", "**** it", "after both"]);
  await mia.tab.getByRole("button", { name: "Held messages" }).click();
  const queue = mia.tab.getByRole("dialog", { name: "Held messages" });
  await queue.getByRole("listitem").filter({ hasText: "I won" }).getByRole("button", { name: "Publish" }).click();
  await bob.message("I won the lottery").waitFor();
  await queue.getByRole("listitem").filter({ hasText: "again" }).getByRole("button", { name: "Decline" }).click();
  await queue.getByText("Nothing waits for you.").waitFor();
  await ada.message("the lottery again").getByText("Not sent.").waitFor();
  await ada.message("the lottery again").getByRole("button", { name: "Discard" }).click();

  const expected = ["buy ham now", "**** it", "after both", "I won the lottery"];
  for (const one of [ada, bob, mia]) {
    await eventually("all see the same", async () => {
      const heard = await one.heard();
      return JSON.stringify(heard) === JSON.stringify(expected) || heard;
    });
    assert.deepEqual(one.errors, []);
  }

  // What a plugin notes beside a message reaches its sender as well, also for an edit.
  const dee = new Confab({ url: positionals[0], token: signed("dee"), websocket: WebSocket });
  dee.connect();
  const hers = dee.room(room);
  hers.open();
  await eventually("she reads the room", async () => hers.snapshot().messages.length === expected.length);
  hers.send({ text: "see https://one.example/" });
  const hosts = () => JSON.stringify(hers.snapshot().messages.at(-1)?.annotations ?? "");
  await eventually("the note is there", async () => hosts().includes("one.example") || hosts());
  await hers.edit(hers.snapshot().messages.at(-1).id, { text: "see https://two.example/" });
  await eventually("and that of the edit", async () => hosts().includes("two.example") || hosts());
  assert.equal(hers.snapshot().messages.at(-1).acting, undefined, "nothing is left to be answered");
  dee.disconnect();

  // A token that is no good, or has run out, leads back to the door, which says why.
  const late = token(values.secret, { sub: "late", exp: Math.floor(Date.now() / 1000) - 3600 });
  for (const bad of ["a.b.c", late]) {
    const stranger = await browser.newPage();
    await stranger.goto(`${page}#token=${bad}`);
    await stranger.getByRole("heading", { name: "Sign in to Confab" }).waitFor();
    await stranger.getByRole("alert").filter({ hasText: /./ }).waitFor();
  }
  console.log(JSON.stringify({ ok: true }));
} finally {
  await browser.close();
}
