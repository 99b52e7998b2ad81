// Two people of a real browser chat through the hub's own page; one loses the connection and catches up.
//
//   CHROMIUM=/usr/bin/chromium node two-people.mjs ws://127.0.0.1:8000/connection/websocket
import assert from "node:assert/strict";
import { eventually, launch, pageOf, person } from "./common.mjs";

const page = pageOf(process.argv[2] ?? "ws://127.0.0.1:8000/connection/websocket");
const browser = await launch();
try {
  const [ada, bob] = await Promise.all(["ada", "bob"].map((user) => person(browser, page, { user, room: "two-people" })));
  await ada.say("hello, bob");
  await bob.message("hello, bob").waitFor();
  await bob.say("<b>hello</b>, ada");
  await ada.message("<b>hello</b>, ada").waitFor(); // text stays text

  await ada.message("<b>hello</b>").getByRole("button", { name: "React", exact: true }).click({ force: true });
  await ada.tab.keyboard.type("party");
  await ada.tab.keyboard.press("Enter");
  await bob.message("<b>hello</b>").getByRole("button", { name: "🎉, 1" }).click();
  await ada.message("<b>hello</b>").getByRole("button", { name: "🎉, 2" }).waitFor();

  await bob.box.pressSequentially("I ty");
  await ada.tab.getByText("bob is typing").waitFor();
  await bob.box.fill("");

  // A name is completed by its first letters, and whoever is called sees it.
  await ada.box.pressSequentially("thanks @bo");
  await ada.tab.getByRole("option", { name: "bob" }).waitFor();
  await ada.box.press("Tab");
  assert.equal(await ada.box.inputValue(), "thanks @bob ");
  await ada.box.fill("");

  await ada.box.press("ArrowUp");
  await ada.tab.getByRole("textbox", { name: "Edit the message" }).fill("hello again, bob");
  await ada.tab.keyboard.press("Enter");
  await bob.message("hello again, bob").getByText("(edited)").waitFor();

  await bob.context.setOffline(true); // the link is cut under the page
  await bob.tab.getByText("You are offline").waitFor({ timeout: 60_000 });
  await ada.say("are you there?");
  await ada.message("are you there?").waitFor();
  await bob.context.setOffline(false);
  await bob.message("are you there?").waitFor({ timeout: 60_000 }); // it came back by itself and caught up
  await bob.say("yes");
  await ada.message("yes").waitFor();

  await bob.message("yes").hover();
  await bob.message("yes").getByRole("button", { name: "Delete" }).click();
  await bob.tab.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await ada.tab.getByText("This message was deleted").waitFor();

  // Called in another room than the one that is looked at, one is notified, if one wants to be.
  await bob.context.grantPermissions(["notifications"]);
  await bob.tab.evaluate(() => {
    window.told = [];
    window.Notification = class { static permission = "granted"; static requestPermission = async () => "granted"; constructor(title, { body }) { told.push([title, body]); } };
  });
  await bob.tab.getByRole("button", { name: "Notify me when somebody calls me" }).click();
  await bob.tab.getByRole("button", { name: "lobby" }).click();
  await ada.say("@bobby is somebody else");
  await ada.say("look, @bob!");
  await eventually("he is notified once", async () => JSON.stringify(await bob.tab.evaluate(() => told)) === JSON.stringify([["ada in #two-people", "look, @bob!"]]) || bob.tab.evaluate(() => told));
  await bob.tab.getByRole("button", { name: /two-people/ }).getByText("2").waitFor(); // and sees what is unread
  await bob.tab.getByRole("button", { name: /two-people/ }).click();
  await bob.message("look, @bob!").waitFor();

  const expected = ["hello again, bob\n(edited)", "<b>hello</b>, ada", "are you there?", "@bobby is somebody else", "look, @bob!"];
  for (const one of [ada, bob]) {
    await eventually("both see the same", async () => {
      const heard = (await one.heard()).map((text) => text.replace(/\s*\(edited\)/, "\n(edited)"));
      return JSON.stringify(heard) === JSON.stringify(expected) || heard;
    });
    assert.deepEqual(one.errors, []);
  }
  console.log(JSON.stringify({ ok: true }));
} finally {
  await browser.close();
}
