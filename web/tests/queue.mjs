// Somebody goes offline, writes three messages, reloads the page, and comes back: each is sent once, in their order.
import assert from "node:assert/strict";
import { eventually, launch, pageOf, person } from "./common.mjs";

const page = pageOf(process.argv[2] ?? "ws://127.0.0.1:8000/connection/websocket");
const browser = await launch();
try {
  const [ada, bob] = await Promise.all(["ada", "bob"].map((user) => person(browser, page, { user, room: "queue" })));
  await ada.say("before");
  await bob.message("before").waitFor();

  // The hub cannot be reached, but the page can: so that it can be loaded again.
  let open = false;
  await ada.context.routeWebSocket(/connection\/websocket/, (socket) => {
    if (open) socket.connectToServer();
    else void socket.close({ code: 1001, reason: "the test keeps it away" });
  });
  await ada.tab.reload();
  await ada.box.waitFor();
  for (const text of ["one", "two", "three"]) await ada.say(text);
  await ada.tab.getByText("3 messages will be sent when you are back").waitFor();
  await ada.tab.reload();
  await ada.tab.getByText("3 messages will be sent when you are back").waitFor();
  assert.deepEqual((await ada.heard()).slice(-3), ["one", "two", "three"], "they are still there");
  open = true;
  const expected = ["before", "one", "two", "three"];
  for (const one of [ada, bob]) {
    await eventually("each is said once, in order", async () => {
      const heard = await one.heard();
      return JSON.stringify(heard) === JSON.stringify(expected) || heard;
    }, 60_000);
  }
  await ada.tab.reload();
  await eventually("nothing is sent again", async () => {
    const heard = await ada.heard();
    return JSON.stringify(heard) === JSON.stringify(expected) || heard;
  });
  await bob.say("done");
  await ada.message("done").waitFor();
  assert.deepEqual(await bob.heard(), [...expected, "done"]);
  assert.deepEqual([ada.errors, bob.errors], [[], []]);
  console.log(JSON.stringify({ ok: true }));
} finally {
  await browser.close();
}
