// What events add up to, as store/tests/vectors/fold.json says for every program that folds them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { Fold } from "../dist/index.js";

const { cases } = JSON.parse(readFileSync(new URL("../../../store/tests/vectors/fold.json", import.meta.url), "utf8"));
const BEGINNING = 1_700_000_000_000;
const place = ([epoch, offset]) => ({ epoch: String(epoch).padStart(16, "0"), offset });

function event({ type, n, place: at, by, key, body, target, thread, annotations }) {
  return {
    type, id: String(n), sender: { user: by }, key: key ?? `k${n}`, at: BEGINNING + n, place: place(at), body, annotations,
    target: target?.toString(), thread: thread?.toString(),
  };
}

/** A message in the words of the vectors. */
function written(message, expected) {
  return {
    n: Number(message.id),
    place: [Number(message.place.epoch), message.place.offset],
    by: message.sender.user,
    ...(expected?.key ? { key: message.key } : {}),
    body: message.body,
    ...(message.editedAt ? { edited: message.editedAt - BEGINNING } : {}),
    ...(message.deleted ? { deleted: true } : {}),
    ...(message.thread ? { thread: Number(message.thread) } : {}),
    ...(message.annotations ? { annotations: message.annotations } : {}),
    ...(message.reactions.length ? { reactions: message.reactions.map(({ reaction, users }) => [reaction, users]) } : {}),
  };
}

test("the vectors are there", () => assert.ok(cases.length > 10));

for (const { name, events, messages } of cases) {
  test(name, () => {
    const fold = new Fold("ada");
    for (const one of events) fold.apply(event(one));
    const found = fold.messages().map((message, i) => written(message, messages[i]));
    assert.deepEqual(found, messages);
  });

  if (name.includes("said again under its key")) continue; // which of two came first, places do not say
  test(`${name}: in any order`, () => {
    for (let turn = 0; turn < events.length; turn++) {
      const fold = new Fold("ada");
      for (const one of [...events.slice(turn), ...events.slice(0, turn)].reverse()) fold.apply(event(one));
      assert.deepEqual(fold.messages().map((message, i) => written(message, messages[i])), messages);
    }
  });
}

test("a page and the events after it give what all events give", () => {
  for (const { name, events, messages } of cases) {
    const all = events.map(event).sort((a, b) => (a.place.epoch < b.place.epoch ? -1 : a.place.epoch > b.place.epoch ? 1 : a.place.offset - b.place.offset));
    for (let cut = 0; cut <= all.length; cut++) {
      const hub = new Fold("ada");
      for (const one of all.slice(0, cut)) hub.apply(one);
      const asOf = all[cut - 1]?.place ?? place([0, 0]);
      const page = hub.messages().map(({ place, editedAt, reactions, ...rest }) => ({
        ...rest, ...place, edited_at: editedAt, reactions: reactions.map(({ reaction, count, own }) => ({ reaction, count, own })),
      }));
      const fold = new Fold("ada");
      // Live events come while the page is on its way, and some of them are in it.
      for (const one of all) fold.apply(one);
      fold.page(page, asOf);
      const found = fold.messages().map(({ id, body, deleted, editedAt }) => ({ id, body, deleted, editedAt }));
      const wanted = messages.map(({ n, body, deleted = false, edited }) => ({ id: String(n), body, deleted, editedAt: edited && BEGINNING + edited }));
      assert.deepEqual(found, wanted, `${name}, cut at ${cut}`);
    }
  }
});

test("counts of a page go up and down with what users say after it", () => {
  const fold = new Fold("ada");
  const message = { id: "1", sender: { user: "bob" }, key: "k1", epoch: place([1, 1]).epoch, offset: 1, at: BEGINNING, body: { text: "hello" }, deleted: false };
  fold.page([{ ...message, reactions: [{ reaction: "👍", count: 3, own: true }] }], place([1, 5]));
  const react = (n, type, by) => fold.apply(event({ type, n, place: [1, n], by, target: 1, body: { reaction: "👍" } }));
  const now = () => fold.messages()[0].reactions.map(({ count, own }) => [count, own]);
  react(4, "reaction", "cy"); // the page has it
  assert.deepEqual(now(), [[3, true]]);
  react(6, "reaction", "dee");
  assert.deepEqual(now(), [[4, true]]);
  react(7, "unreaction", "ada");
  assert.deepEqual(now(), [[3, false]]);
  react(8, "reaction", "ada");
  assert.deepEqual(now(), [[4, true]]);
});
