// What there is to see of a room, and of each of its messages.
import type { Json } from "./event.js";
import type { Message } from "./fold.js";
import type { Place } from "./place.js";

/** A message as a room shows it: one that was said, or one of ours on its way. */
export interface Shown extends Omit<Message, "id" | "place"> {
  /** Absent until its event was heard. */
  readonly id?: string;
  readonly place?: Place;
  /** `sent` stands; the others are ours: `waiting` to be sent, `sending`, `refused`, or `held` for a moderator. */
  readonly state: "sent" | "waiting" | "sending" | "refused" | "held";
  /** Why it was refused or held. */
  readonly reason?: string;
  readonly code?: number;
  /** What we did to it and was not answered yet. */
  readonly acting?: "edit" | "delete" | "react" | "unreact";
  /** Why what we did to it was refused. */
  readonly problem?: { readonly verb: string; readonly reason: string; readonly body?: Json };
  /** What a plugin told us alone about it. */
  readonly notices?: readonly string[];
}

/** What there is to see of a room. */
export interface RoomView {
  readonly name: string;
  /** `away` means that it was joined and the connection is lost; `refused` that one may not be there. */
  readonly status: "closed" | "joining" | "live" | "away" | "refused";
  readonly reason?: string;
  /** The messages, the oldest first. */
  readonly messages: readonly Shown[];
  /** Whether the first page was read. */
  readonly loaded: boolean;
  /** Whether there are older messages to read. */
  readonly hasOlder: boolean;
  readonly loadingOlder: boolean;
  /** Why messages cannot be read at the moment; it is tried again. */
  readonly trouble?: string;
  /** Something was missed that could not be recovered, so the messages were read anew. */
  readonly readAnew: boolean;
  /** Who else is typing. */
  readonly typing: readonly string[];
  /** Who is there; absent where the room does not say. */
  readonly present?: readonly string[];
  /** How far it was read. */
  readonly readUpTo?: Place;
  /** How many messages of others stand after that. */
  readonly unread: number;
}
