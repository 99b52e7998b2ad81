// Words: how names, times and messages are written.
import type { Json, Shown } from "@confab/client";

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const DAY_AND_YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });
const SHORT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const LIST = new Intl.ListFormat(undefined, { type: "conjunction" });

export const time = (at: number): string => TIME.format(at);
/** Hour and minute alone, for where there is little room. */
export const shortTime = (at: number): string => TIME.formatToParts(at).filter(({ type }) => type !== "dayPeriod").map(({ value }) => value).join("").trim();
export const dateTime = (at: number): string => SHORT.format(at);
export const wholeTime = (at: number): string => WHOLE.format(at);
export const dayOf = (at: number): string => new Date(at).toDateString();

/** A day as people say it. */
export function day(at: number, now = Date.now()): string {
  if (dayOf(at) === dayOf(now)) return "Today";
  if (dayOf(at) === dayOf(now - 86_400_000)) return "Yesterday";
  return new Date(at).getFullYear() === new Date(now).getFullYear() ? DAY.format(at) : DAY_AND_YEAR.format(at);
}

/** What somebody is called: the name that their token gives, else their id. */
export function nameOf(sender: Shown["sender"]): string {
  const info = sender.info;
  const name = info && typeof info === "object" && !Array.isArray(info) ? info.name : undefined;
  const shown = typeof name === "string" && name.trim() ? name : sender.user.replace(/^plugin:/, "");
  return shown || "somebody";
}

/** Whether a plugin or an API spoke. */
export const isProgram = (user: string): boolean => /^(plugin|api):/.test(user);

/** The text of a body, if it has one. */
export function textOf(body: Json): string | undefined {
  const text = body && typeof body === "object" && !Array.isArray(body) ? body.text : undefined;
  return typeof text === "string" ? text : undefined;
}

/** Whether a body says that its text is Markdown. */
export function isMarkdown(body: Json): boolean {
  return !!body && typeof body === "object" && !Array.isArray(body) && body.format === "markdown";
}

/** A message in one line, for screen readers and titles. */
export function spoken(message: Shown): string {
  if (message.deleted) return "deleted";
  return textOf(message.body) ?? "something that is no text";
}

/** The first letters of a name. */
export function initials(name: string): string {
  const words = name.split(/[\s._:@-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[1]] : [words[0] ?? "?"];
  return letters.map((word) => Array.from(word ?? "")[0]?.toUpperCase() ?? "").join("");
}

/** One of twelve hues, always the same for a user. */
export function hue(user: string): number {
  let hash = 6; // short names are spread well from here
  for (const char of user) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d); // so that names which differ in one letter differ in all bits
  return ((hash ^ (hash >>> 13)) >>> 0) % 12;
}

/** Who types, in a sentence. */
export function typingSentence(users: readonly string[]): string {
  if (users.length === 0) return "";
  if (users.length > 3) return `${users[0]} and ${users.length - 1} others are typing`;
  return `${LIST.format(users)} ${users.length === 1 ? "is" : "are"} typing`;
}

/** So many of something. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString()} ${n === 1 ? one : many}`;
}
