// Rooms that people made: whoever is a member finds them by their titles, on any device, as soon as they are added; nobody else does.
//
//   node rooms.mjs ws://…    (a hub where the members alone join `team:**`)
import assert from "node:assert/strict";
import { Confab } from "@confab/client";
import WebSocket from "ws";
import { launch, pageOf, person } from "./common.mjs";

const page = pageOf(process.argv[2]);
const ada = new Confab({ url: process.argv[2], user: "ada", websocket: WebSocket });
ada.connect();
const browser = await launch();
try {
  const { room } = await ada.call("room.create", { prefix: "team:", key: "the-first", title: "Design team", members: ["bob"] });
  await ada.call("send", { room, body: { text: "welcome to the team" } });
  const bob = await person(browser, page, { user: "bob", room: "lobby" });
  await bob.tab.getByRole("button", { name: "Design team" }).click();
  await bob.tab.getByRole("heading", { level: 1, name: "Design team" }).waitFor();
  await bob.message("welcome to the team").waitFor();
  assert.equal(await bob.tab.getByRole("button", { name: /^Leave/ }).count(), 0, "a membership is not left by closing a room");

  const eve = await person(browser, page, { user: "eve", room: "lobby" });
  await eve.say("I see no team");
  await eve.sent("I see no team").first().waitFor();
  assert.equal(await eve.tab.getByRole("button", { name: "Design team" }).count(), 0);
  await ada.call("member.add", { room, user: "eve" });
  await eve.tab.getByRole("button", { name: "Design team" }).click();
  await eve.message("welcome to the team").waitFor();
  const direct = await ada.call("direct", { user: "bob" });
  await ada.call("send", { room: direct.room, body: { text: "between us" } });
  await bob.tab.getByRole("button", { name: "ada" }).click();
  await bob.message("between us").waitFor();
  assert.deepEqual([bob.errors, eve.errors], [[], []]);
  console.log(JSON.stringify({ ok: true }));
} finally {
  await browser.close();
  ada.disconnect();
}
