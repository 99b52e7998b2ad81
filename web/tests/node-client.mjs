// @confab/client in Node: it reads a hub of old, comes back after a loss that the hub cannot replay, and brings new tokens.
//
//   node node-client.mjs ws://… --secret THE_HMAC_SECRET    (a hub that replays at most 5 events, and nothing from its store)
import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import { Confab, MemoryStorage, Refused } from "@confab/client";
import WebSocket from "ws";
import { eventually, token } from "./common.mjs";

const { values, positionals } = parseArgs({ allowPositionals: true, options: { secret: { type: "string" } } });
const url = positionals[0];
const open = [];

/** A WebSocket that can be cut, and kept from connecting. */
class Cuttable extends WebSocket {
  static away = false;
  static sockets = new Set();
  constructor(address, ...more) {
    super(Cuttable.away ? "ws://127.0.0.1:1/" : address, ...more);
    Cuttable.sockets.add(this);
  }
  static cut(away) {
    Cuttable.away = away;
    if (away) for (const socket of Cuttable.sockets) socket.terminate();
  }
}

function client(options, Kind = Confab) {
  const confab = new Kind({ url, websocket: WebSocket, storage: new MemoryStorage(), ...options });
  confab.connect();
  open.push(confab);
  return confab;
}
const texts = (room) => room.snapshot().messages.map(({ body, deleted }) => (deleted ? "-" : body.text));
const shows = (what, room, wanted) => eventually(what, async () => JSON.stringify(texts(room)) === JSON.stringify(wanted) || texts(room));

try {
  // Away for longer than the hub replays: the room is read anew, with every change of what was there before.
  const bob = client({ user: "bob" });
  const ada = client({ user: "ada", websocket: Cuttable });
  const [said, seen] = [bob.room("away"), ada.room("away")];
  said.open();
  seen.open();
  for (const text of ["one", "two", "three"]) said.send({ text });
  await shows("both are there", seen, ["one", "two", "three"]);
  Cuttable.cut(true);
  await eventually("she is away", async () => ada.snapshot().state === "offline");
  const [one, two] = said.snapshot().messages;
  await said.edit(one.id, { text: "one, changed" });
  await said.delete(two.id);
  for (let n = 4; n <= 12; n++) said.send({ text: `${n}` });
  const now = ["one, changed", "-", "three", ...Array.from({ length: 9 }, (_, n) => `${n + 4}`)];
  await shows("he says more", said, now);
  await eventually("it is said", async () => said.snapshot().messages.every(({ state }) => state === "sent"));
  assert.equal(seen.snapshot().readAnew, false);
  Cuttable.cut(false);
  await shows("she reads it anew, without a hole", seen, now);
  assert.equal(seen.snapshot().readAnew, true, "and that is said");
  seen.acknowledge();
  assert.equal(seen.snapshot().readAnew, false);

  // A short loss is recovered, and nothing is said of it.
  Cuttable.cut(true);
  await eventually("she is away again", async () => ada.snapshot().state === "offline");
  seen.send({ text: "from her" });
  said.send({ text: "13" });
  await shows("he goes on", said, [...now, "13"]);
  Cuttable.cut(false);
  await shows("both are there, in one order", seen, [...now, "13", "from her"]);
  await shows("for both", said, [...now, "13", "from her"]);
  assert.equal(seen.snapshot().readAnew, false);

  // A hub that has no verb \`messages\` is read by its log, and gives the same.
  class OfOld extends Confab {
    async call(verb, given) {
      if (verb === "messages") throw new Refused(108, "not available", false);
      return super.call(verb, given);
    }
  }
  const old = client({ user: "cy" }, OfOld).room("away");
  old.open();
  await shows("the log adds up to the same", old, [...now, "13", "from her"]);

  // Refusals have names; what a key was used for is not done again under it.
  await assert.rejects(bob.call("send", { room: "", body: { text: "x" } }), (error) => error instanceof Refused && error.kind === "bad_request" && !error.temporary);
  const key = "a-key-of-ours";
  const first = await bob.call("send", { room: "keys", key, body: { text: "x" } });
  assert.equal((await bob.call("send", { room: "keys", key, body: { text: "x" } })).id, first.id);
  await assert.rejects(bob.call("send", { room: "keys", key, body: { text: "y" } }), (error) => error.kind === "key_conflict");

  // A token that runs out is replaced by the next one, and nobody notices.
  let brought = 0;
  const getToken = async () => token(values.secret, { sub: "dee", exp: Math.floor(Date.now() / 1000) + 2, n: ++brought });
  const dee = client({ getToken, token: await getToken() });
  const states = new Set();
  dee.subscribe(() => states.add(dee.snapshot().state));
  const hers = dee.room("away");
  hers.open();
  await eventually("tokens are replaced", async () => brought >= 3);
  hers.send({ text: "still here" });
  await eventually("she is heard", async () => texts(said).at(-1) === "still here");
  assert.deepEqual([...states].filter((state) => state === "closed" || state === "offline"), []);
  assert.equal(said.snapshot().messages.at(-1).sender.user, "dee");
  console.log(JSON.stringify({ ok: true, brought }));
} finally {
  for (const one of open) one.disconnect(); // and nothing keeps this program from ending
}
