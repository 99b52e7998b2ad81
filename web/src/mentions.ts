// Mentions: which name is being typed, who could be meant, and who is.
import type { Sender, Shown } from "@confab/client";
import { isProgram, nameOf, textOf } from "./words";

/** The most names that are offered. */
const OFFERED_MAX = 6;
/** The most people that a message may mention. */
const MENTIONS_MAX = 50;

/** What stands between an `@` that begins a word and the caret. */
export function begun(text: string, caret: number): string | undefined {
  return /(?:^|[\s(])@([\w.-]{0,64})$/u.exec(text.slice(0, caret))?.[1];
}

/** Who could be meant: those whose name or id has a word that begins so. */
export function namesFor(word: string, people: readonly Sender[], me: string): Sender[] {
  const wanted = word.toLowerCase();
  const fits = (one: Sender) => [one.user, ...nameOf(one).split(/\s+/)].some((part) => part.toLowerCase().startsWith(wanted));
  return people
    .filter((one) => one.user !== me && !isProgram(one.user) && /^[\w.-]+$/.test(one.user) && fits(one))
    .sort((a, b) => nameOf(a).localeCompare(nameOf(b)))
    .slice(0, OFFERED_MAX);
}

/** Who is mentioned, of those who are known here. */
export function mentionsIn(text: string, people: readonly Sender[]): string[] {
  const named = new Set(Array.from(text.matchAll(/(?<![\w@])@([\w.-]{1,64})/gu), ([, user]) => user?.replace(/[.-]+$/, "")));
  return people.map(({ user }) => user).filter((user) => named.has(user)).slice(0, MENTIONS_MAX);
}

/** Whether a message calls somebody. */
export function calls(message: Shown, user: string): boolean {
  return user !== "" && mentionsIn(textOf(message.body) ?? "", [{ user }]).length > 0;
}
