// What the browser's tests share: a browser that stays on this machine, and people in it.
import { createHmac } from "node:crypto";
import { chromium } from "playwright-core";

const STAY_HERE = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--font-render-hinting=none",
];

/** Starts Chromium. */
export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: STAY_HERE });
}

/** A person: a browser context of their own, signed in by a name or a token, in a room. An error in their page, and anything
 *  that the page's policy blocks, is in `errors`. */
export async function person(browser, page, { user, token, room, ...options }) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: "reduce", ...options });
  const tab = await context.newPage();
  const errors = [];
  tab.on("pageerror", (error) => errors.push(String(error)));
  tab.on("console", (said) => {
    if (said.type() === "error" && /Content Security Policy|Trusted|TypeError/.test(said.text())) errors.push(said.text());
  });
  await tab.goto(`${page}?${user ? `user=${encodeURIComponent(user)}` : ""}#${new URLSearchParams({ room, ...(token ? { token } : {}) })}`);
  await tab.getByRole("heading", { level: 1, name: room }).waitFor();
  const box = tab.getByRole("textbox", { name: `Message to ${room}` });
  await box.waitFor();
  return {
    tab,
    context,
    errors,
    box,
    /** Writes and sends. */
    async say(text) {
      await box.fill(text);
      await box.press("Enter");
    },
    /** The message with this text. */
    message: (text) => tab.getByRole("article").filter({ hasText: text }),
    /** The same, once the hub has it. */
    sent: (text) => tab.locator("article.sent").filter({ hasText: text }),
    /** The texts of all messages in sight, in order. */
    async heard() {
      return tab.locator("article .content").allInnerTexts();
    },
  };
}

/** Waits until `check` holds, and says what it was instead if it never does. */
export async function eventually(what, check, patience = 20_000) {
  const end = Date.now() + patience;
  let last;
  while (Date.now() < end) {
    try {
      last = await check();
      if (last === true) return;
    } catch (error) {
      if (error.code === "ERR_ASSERTION") throw error; // what must never be is, and waiting does not mend it
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`not in time: ${what}; last: ${last instanceof Error ? last.stack : JSON.stringify(last)}`);
}

/** The address of the page beside a hub's WebSocket; WEB_PAGE is another one, such as that of `npm run dev -w web`. */
export const pageOf = (hub) => process.env.WEB_PAGE ?? hub.replace(/^ws/, "http").replace(/\/connection.*$/, "/");

/** A token of a hub with this `hmac_secret`. */
export function token(secret, claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}
