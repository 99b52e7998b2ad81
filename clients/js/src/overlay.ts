// Overlays: what we did to a message and was not answered yet, shown as if it were done.
import type { Json } from "./event.js";
import type { Reaction } from "./fold.js";
import type { Place } from "./place.js";
import type { Shown } from "./shown.js";

/** Something that we did to a message. */
export interface Act {
  readonly verb: "edit" | "delete" | "react" | "unreact";
  readonly target: string;
  readonly key: string;
  readonly body?: Json;
  readonly reaction?: string;
  /** Where it stands, once it was answered; its event is not heard yet. */
  readonly place?: Place;
}

/** A message as it will be if all that we did is taken. */
export function overlaid(message: Shown, acts: readonly Act[], user: string): Shown {
  let shown = message;
  for (const act of acts) if (act.target === message.id) shown = overlay(shown, act, user);
  return shown;
}

function overlay(message: Shown, { verb, body, reaction }: Act, user: string): Shown {
  if (verb === "edit") return { ...message, acting: verb, body: body ?? null };
  if (verb === "delete") return { ...message, acting: verb };
  return { ...message, acting: verb, reactions: reacted(message.reactions, reaction ?? "", verb === "react", user) };
}

function reacted(reactions: readonly Reaction[], reaction: string, on: boolean, user: string): Reaction[] {
  const found = reactions.find((one) => one.reaction === reaction);
  if (!found) return on ? [...reactions, { reaction, count: 1, own: true, users: [user] }] : [...reactions];
  if (found.own === on) return [...reactions];
  const count = found.count + (on ? 1 : -1);
  const users = on ? [...found.users, user] : found.users.filter((one) => one !== user);
  return reactions.map((one) => (one === found ? { reaction, count, own: on, users } : one)).filter((one) => one.count > 0);
}

/** The arguments of its verb. */
export function argumentsOf(room: string, { verb, target, key, body, reaction }: Act) {
  if (verb === "edit") return { room, key, target, body: body ?? null };
  if (verb === "delete") return { room, key, target };
  return { room, key, target, reaction: reaction ?? "" };
}
