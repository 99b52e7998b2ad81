// axe-core finds nothing to say about any page or dialog, light and dark, narrow and wide; the keyboard alone is enough; a message reads
// as author, text and time.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { eventually, launch, pageOf, person } from "./common.mjs";

const page = pageOf(process.argv[2] ?? "ws://127.0.0.1:8000/connection/websocket");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const room = `accessible-${Math.random().toString(36).slice(2, 8)}`; // so that it can be run again against the same hub
const browser = await launch();
let looked = 0;

/** What axe finds on a page as it is now. */
async function check(tab, what) {
  if (!(await tab.evaluate("typeof axe !== 'undefined'"))) await tab.evaluate(axe);
  const found = await tab.evaluate(async () => {
    await document.fonts.ready;
    const { violations } = await axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] });
    return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map(({ html, any }) => `${html.slice(0, 200)} ${any[0]?.message ?? ""}`).join(" | ")}`);
  });
  assert.deepEqual(found, [], what);
  const wide = await tab.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(wide, false, `${what}: the page is no wider than the screen`);
  looked += 1;
}

try {
  const writer = await person(browser, page, { user: "bob", room });
  await writer.say("Hello **there**, see https://example.com/ and `code`");
  await writer.say("```js\nlet a = 1;\n```\n> quoted\n\n- one\n- two");
  await writer.message("Hello there").waitFor();

  for (const colorScheme of ["light", "dark"]) {
    for (const width of [320, 768, 1280, 1920]) {
      const at = `${colorScheme}, ${width} px`;
      const context = await browser.newContext({ viewport: { width, height: 720 }, colorScheme, reducedMotion: "reduce" });
      const signIn = await context.newPage();
      await signIn.goto(page);
      await signIn.getByRole("heading", { name: "Sign in to Confab" }).waitFor();
      await check(signIn, `signing in, ${at}`);
      await context.close();

      const user = `ada-${colorScheme}-${width}`;
      const ada = await person(browser, page, { user, room, viewport: { width, height: 720 }, colorScheme });
      await ada.message("one").waitFor();
      await ada.say(`mine, @bob: ${user}`);
      await writer.message(user).waitFor();
      await writer.say(`@${user} look`);
      await ada.message("look").last().waitFor();
      await check(ada.tab, `a conversation, ${at}`);

      await ada.box.pressSequentially("@b");
      await ada.tab.getByRole("option", { name: "bob" }).waitFor();
      await check(ada.tab, `completing a name, ${at}`);
      await ada.box.fill("");

      await ada.tab.keyboard.press("Control+k");
      await ada.tab.getByRole("combobox", { name: "Room" }).fill("new room");
      await check(ada.tab, `the switcher, ${at}`);
      await ada.tab.keyboard.press("Escape");

      // By the keyboard: to the last message, up to one's own, and what can be done there.
      await ada.box.focus();
      await ada.tab.getByRole("article").last().focus();
      await ada.tab.keyboard.press("ArrowUp");
      let focused = "";
      await eventually("the message above has the focus, and reads author, text, time", async () => {
        focused = await ada.tab.evaluate(() => document.activeElement?.getAttribute("aria-label"));
        return new RegExp(`^${user}: mine, @bob: ${user}, \\d`).test(focused) || focused;
      });
      await ada.tab.keyboard.press("r");
      await ada.tab.getByRole("dialog", { name: "React" }).waitFor();
      await check(ada.tab, `reacting, ${at}`);
      await ada.tab.keyboard.press("Enter");
      await ada.tab.getByRole("article", { name: focused }).getByRole("button", { name: "👍, 1" }).waitFor();
      await ada.tab.getByRole("article", { name: focused }).focus();
      await ada.tab.keyboard.press("e");
      await check(ada.tab, `editing, ${at}`);
      await ada.tab.keyboard.press("Escape");
      assert.equal(await ada.tab.evaluate(() => document.activeElement?.id), "composer", "Escape leads back");
      await ada.tab.getByRole("article", { name: focused }).focus();
      await ada.tab.keyboard.press("Delete");
      await check(ada.tab, `deleting, ${at}`);
      await ada.tab.keyboard.press("Enter"); // the button that has the focus
      await ada.tab.getByRole("article", { name: new RegExp(`^${user}: deleted`) }).waitFor();
      await ada.tab.keyboard.press("Escape");
      await ada.tab.evaluate(() => document.activeElement?.blur());
      await ada.tab.keyboard.press("?");
      await check(ada.tab, `the list of shortcuts, ${at}`);
      await ada.tab.keyboard.press("Escape");
      if (width < 760) {
        await ada.tab.getByRole("button", { name: "Rooms", exact: true }).click();
        await ada.tab.getByRole("navigation", { name: "Rooms" }).waitFor();
        await check(ada.tab, `the list of rooms, ${at}`);
      }
      assert.deepEqual(ada.errors, []);
      await ada.context.close();
    }
  }

  const turned = await person(browser, page, { user: "dalia", room, forcedColors: "active" });
  await turned.tab.evaluate(() => (document.documentElement.dir = "rtl"));
  await check(turned.tab, "right to left, forced colours");
  console.log(JSON.stringify({ ok: true, looked }));
} finally {
  await browser.close();
}
