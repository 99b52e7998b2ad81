// What verbs answer with. Their names are those of the hub's table of verbs.
import type { Sender, WrittenEvent } from "./event.js";
import type { WrittenMessage } from "./fold.js";
import type { Place } from "./place.js";

/** The answer to what has a key: the event stands. */
export interface Receipt {
  id: string;
  epoch: string;
  offset: number;
  at: number;
  /** `replace` if a plugin changed the body; absent where the event is not at hand any more. */
  verdict?: "accept" | "replace";
}

/** A page of events. */
export interface Page {
  events: WrittenEvent[];
  /** What to give as `since` for the next page. */
  next: Place | null;
  epoch: string;
  offset: number;
  /** Where the room begins, if the page would have begun or ended with what is not kept any more. */
  oldest?: Place;
}

/** A page of messages as they are now. */
export interface Messages {
  messages: WrittenMessage[];
  /** What to give as the same argument for the next page. */
  next: Place | null;
  /** The place up to which all events have been folded in. */
  epoch: string;
  offset: number;
  through: Place | null;
}

/** Nothing but that it was done. */
export type Nothing = Record<string, never>;

/** A held event, as moderators see it. */
export interface Held {
  id: string;
  state: "waiting" | "approved" | "denied";
  plugin: string;
  reason: string;
  held_at: number;
  event: WrittenEvent & { room: string; sender: Sender };
}

/** What came of the verb `review`: which of these there are depends on `op`. */
export interface Answer extends Partial<Receipt> {
  held?: Held[];
  state?: Held["state"];
}

/** What somebody is in a room that people made. */
export type RoomRole = "member" | "moderator" | "owner";

/** A room that people made, as one of its members sees it. */
export interface Room {
  room: string;
  kind: "members" | "direct";
  title: string;
  topic: string;
  /** What the asker is there; `null` to an operator. */
  role: RoomRole | null;
  /** How many members it has. */
  members: number;
  created_by: string;
  /** In milliseconds since 1970. */
  created_at: number;
  /** The other one, in a direct room. */
  with?: string;
}

/** A page of one's own rooms, by their names. */
export interface Rooms {
  rooms: Room[];
  /** What to give as `after` for the next page. */
  next: string | null;
}

/** A page of the members of a room. */
export interface Members {
  members: { user: string; role: RoomRole }[];
  /** What to give as `after` for the next page. */
  next: string | null;
}

/** What became of somebody's membership. */
export interface Member {
  room: string;
  user: string;
  /** False: it was so already. */
  changed: boolean;
  /** What they are there now; absent where somebody was added who is a member already. */
  role?: RoomRole | null;
}
