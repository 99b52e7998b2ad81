// Screenshots of every page and state, from a conversation that is the same each time.
//
//   node screenshots.mjs ws://… --secret THE_HMAC_SECRET --into FOLDER [--scale 2]
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { eventually, launch, pageOf, person, token } from "./common.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { secret: { type: "string" }, into: { type: "string" }, scale: { type: "string", default: "1" } },
});
const page = pageOf(positionals[0]);
const scale = Number(values.scale);
await mkdir(values.into, { recursive: true });
const browser = await launch();
const people = {};

async function come(user, name, { room = "design", roles = [], ...options } = {}) {
  const one = await person(browser, page, {
    token: token(values.secret, { sub: user, roles, info: { name } }), room, deviceScaleFactor: scale, viewport: { width: 1200, height: 760 }, ...options,
  });
  people[user] = one;
  return one;
}

async function shoot(one, name) {
  await one.tab.mouse.move(5, 5);
  await one.tab.evaluate(() => document.fonts.ready);
  await one.tab.screenshot({ path: join(values.into, `${name}.png`), animations: "disabled" });
}

async function react(one, text, word) {
  await one.message(text).getByRole("button", { name: "React", exact: true }).click({ force: true });
  await one.tab.keyboard.type(word);
  await one.tab.keyboard.press("Enter");
}

try {
  for (const room of ["lobby", "releases", "support:42"]) {
    const bot = await come("noor", "Noor Haddad", { room });
    await bot.say(`Welcome to ${room}.`);
    await bot.sent("Welcome").waitFor();
    await bot.context.close();
  }
  const ada = await come("ada", "Ada Byron", { colorScheme: "light" });
  for (const room of ["releases", "support:42", "lobby"]) {
    await ada.tab.keyboard.press("Control+k");
    await ada.tab.getByRole("combobox", { name: "Room" }).fill(room);
    await ada.tab.keyboard.press("Enter");
    await ada.tab.getByRole("heading", { level: 1, name: room }).waitFor();
    await ada.message("Welcome").waitFor();
  }
  await ada.tab.getByRole("button", { name: "design" }).click();
  const empty = await come("eve", "Eve", { room: "brand new" });
  await empty.tab.getByText("Nothing was said in").waitFor();
  await shoot(empty, "empty-room");
  await empty.context.close();

  const bob = await come("bob", "Bob Okafor", { colorScheme: "dark" });
  const chloe = await come("chloe", "Chloé Laurent", { colorScheme: "light", viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true });
  const mia = await come("mia", "Mia Tanaka", { roles: ["moderator"], colorScheme: "light" });
  await ada.say("Morning! The new empty states are up. Could somebody look at them on a phone?");
  await bob.say("On it. First impression: *much* calmer than before.");
  await bob.message("First impression").waitFor();
  await chloe.say("Looks good on mine, also right to left:\n\nصباح الخير للجميع");
  await ada.message("Looks good").waitFor();
  await bob.say("One thing in the fold, the earlier place has to win:\n```rust\nif place < self.place {\n    self.place = place;\n}\n```\nThe reasons are in https://docs.example.com/folds, and in [this talk](https://video.example.org/watch/42).");
  await ada.message("One thing in the fold").waitFor();
  await ada.say("> the earlier place has to win\n\nGood catch, @bob. Left for today:\n- the list of shortcuts\n- colours in the dark");
  await bob.message("Good catch").waitFor();
  await mia.say("I take the shortcuts. Release at 16:00?");
  await ada.message("I take the shortcuts").waitFor();
  await react(ada, "First impression", "heart");
  await react(mia, "First impression", "heart");
  await react(bob, "Looks good", "party");
  await react(ada, "Looks good", "party");
  await react(bob, "Release at 16:00", "rocket");
  await eventually("everybody reacted", async () => (await ada.tab.getByRole("button", { name: /, [12]$/ }).count()) >= 3 || false);
  const support = await come("omar", "Omar", { room: "support:42" });
  for (const text of ["My order has not come.", "Could you have a look?"]) await support.say(text);
  await ada.tab.getByText("2 unread", { exact: false }).first().waitFor();
  await chloe.box.pressSequentially("Yes, a");
  await ada.tab.getByText("Chloé Laurent is typing").waitFor();
  await shoot(ada, "conversation");
  await shoot(bob, "dark");
  await shoot(chloe, "phone");
  await chloe.tab.getByRole("button", { name: "Rooms", exact: true }).click();
  await chloe.tab.getByRole("navigation", { name: "Rooms" }).waitFor();
  await shoot(chloe, "phone-rooms");

  await bob.say("buy spam from me");
  await bob.message("buy spam").getByText("Not sent.").waitFor();
  await bob.say("I won the lottery");
  await bob.message("lottery").getByText("Waiting for a moderator.").waitFor();
  await shoot(bob, "refused-and-held");
  await mia.tab.getByRole("button", { name: "Held messages" }).click();
  await mia.tab.getByRole("button", { name: "Publish" }).waitFor();
  await shoot(mia, "moderator");
  await mia.tab.keyboard.press("Escape");

  await ada.tab.keyboard.press("Control+k");
  await ada.tab.getByRole("combobox", { name: "Room" }).fill("re");
  await shoot(ada, "switcher");
  await ada.tab.keyboard.press("Escape");
  await ada.message("I take the shortcuts").getByRole("button", { name: "React", exact: true }).click({ force: true });
  await ada.tab.getByRole("dialog", { name: "React" }).waitFor();
  await shoot(ada, "reactions");
  await ada.tab.keyboard.press("Escape");
  await ada.tab.getByRole("button", { name: "Keyboard shortcuts" }).click();
  await shoot(ada, "shortcuts");
  await ada.tab.keyboard.press("Escape");
  await ada.context.setOffline(true);
  await ada.tab.getByText("You are offline").waitFor({ timeout: 60_000 });
  await ada.say("This one waits until I am back.");
  await ada.tab.getByText("1 message will be sent").waitFor();
  await shoot(ada, "offline");

  const door = await (await browser.newContext({ viewport: { width: 1200, height: 760 }, deviceScaleFactor: scale })).newPage();
  await door.goto(page);
  await door.getByRole("heading", { name: "Sign in to Confab" }).waitFor();
  await door.screenshot({ path: join(values.into, "sign-in.png") });
  console.log(JSON.stringify({ ok: true }));
} catch (error) {
  for (const [name, one] of Object.entries(people)) await one.tab.screenshot({ path: join(values.into, `error-${name}.png`) }).catch(() => undefined);
  throw error;
} finally {
  await browser.close();
}
