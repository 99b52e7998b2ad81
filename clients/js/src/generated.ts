// What the hub's verbs, events and codes are. Written by `cargo xtask types` from the hub's source: do not change it here.
import type { Json } from "./event.js";
import type { Answer, Member, Members, Messages, Nothing, Page, Receipt, Room, Rooms } from "./results.js";

export type { Answer, Member, Members, Messages, Nothing, Page, Receipt, Room, Rooms };

/** The arguments of `send`. */
export interface SendArguments {
  /** Where. */
  room: string;
  /** The sender's name for it. */
  key?: string;
  /** What is said. */
  body: Json;
  /** The message whose thread it belongs to. */
  thread?: string;
}

/** The arguments of `edit`. */
export interface EditArguments {
  room: string;
  key?: string;
  target: string;
  body: Json;
}

/** The arguments of `delete`. */
export interface DeleteArguments {
  room: string;
  key?: string;
  target: string;
}

/** The arguments of `react`. */
export interface ReactArguments {
  room: string;
  key?: string;
  target: string;
  reaction: string;
}

/** The arguments of `unreact`. */
export interface UnreactArguments {
  room: string;
  key?: string;
  target: string;
  reaction: string;
}

/** The arguments of `history`. */
export interface HistoryArguments {
  /** Where. */
  room: string;
  /** Read from here, this place not included. */
  since?: {
    /** Which numbering. */
    epoch?: string;
    /** Which number. */
    offset: number;
  };
  /** From new to old. */
  reverse?: boolean;
  /** The most events. */
  limit?: number;
}

/** The arguments of `messages`. */
export interface MessagesArguments {
  room: string;
  /** Messages before this place, from new to old. */
  before?: {
    /** Which numbering. */
    epoch?: string;
    /** Which number. */
    offset: number;
  };
  /** Messages after this place, from old to new. */
  after?: {
    /** Which numbering. */
    epoch?: string;
    /** Which number. */
    offset: number;
  };
  /** The most messages. */
  limit?: number;
}

/** The arguments of `typing`. */
export interface TypingArguments {
  room: string;
}

/** The arguments of `review`. */
export interface ReviewArguments {
  /** What is to be done. */
  op: "list" | "approve" | "deny" | "flags" | "close" | "mutes" | "mute" | "lift" | "bans" | "ban" | "unban";
  /** Which event. */
  id?: string;
  /** Where. */
  room?: string;
  /** Who. */
  user?: string;
  /** For how long. */
  seconds?: number;
  /** Why. */
  reason?: string;
  /** In which state, where events are listed: of held ones `waiting` (if nothing is said), `approved`, `denied` or `all`; of flagged ones `open` (if nothing is said) or `closed`. */
  state?: string;
  /** The most that is listed. */
  limit?: number;
}

/** The arguments of `room.create`. */
export interface RoomCreateArguments {
  /** What the name begins with: the hub makes the rest, so that trying names tells nothing. */
  prefix: string;
  /** Under which it may be asked for again. */
  key: string;
  title?: string;
  topic?: string;
  /** Who else belongs to it from the beginning. */
  members?: string[];
}

/** The arguments of `rooms`. */
export interface RoomsArguments {
  /** Rooms after this one. */
  after?: string;
  limit?: number;
}

/** The arguments of `room`. */
export interface RoomArguments {
  room: string;
}

/** The arguments of `room.update`. */
export interface RoomUpdateArguments {
  room: string;
  title?: string;
  topic?: string;
}

/** The arguments of `members`. */
export interface MembersArguments {
  room: string;
  /** Members after this one. */
  after?: string;
  limit?: number;
}

/** The arguments of `member.add`. */
export interface MemberAddArguments {
  room: string;
  user: string;
  role?: "member" | "moderator" | "owner";
}

/** The arguments of `member.remove`. */
export interface MemberRemoveArguments {
  room: string;
  user: string;
  reason?: string;
}

/** The arguments of `member.role`. */
export interface MemberRoleArguments {
  room: string;
  user: string;
  role: "member" | "moderator" | "owner";
}

/** The arguments of `direct`. */
export interface DirectArguments {
  /** The other one; oneself is allowed. */
  user: string;
}

/** The arguments of each verb. */
export interface Arguments {
  send: SendArguments;
  edit: EditArguments;
  delete: DeleteArguments;
  react: ReactArguments;
  unreact: UnreactArguments;
  history: HistoryArguments;
  messages: MessagesArguments;
  typing: TypingArguments;
  review: ReviewArguments;
  "room.create": RoomCreateArguments;
  rooms: RoomsArguments;
  room: RoomArguments;
  "room.update": RoomUpdateArguments;
  members: MembersArguments;
  "member.add": MemberAddArguments;
  "member.remove": MemberRemoveArguments;
  "member.role": MemberRoleArguments;
  direct: DirectArguments;
}

/** What each verb answers with. */
export interface Results {
  send: Receipt;
  edit: Receipt;
  delete: Receipt;
  react: Receipt;
  unreact: Receipt;
  history: Page;
  messages: Messages;
  typing: Nothing;
  review: Answer;
  "room.create": Room;
  rooms: Rooms;
  room: Room;
  "room.update": Room;
  members: Members;
  "member.add": Member;
  "member.remove": Member;
  "member.role": Member;
  direct: Room;
}

/** A verb. */
export type Verb = keyof Arguments;

/** The types of events that take a place. Others change nothing. */
export const EVENT_TYPES = ["message", "edit", "delete", "reaction", "unreaction"] as const;

/** The refusals, by their codes. */
export const REFUSALS = {
  100: "internal",
  101: "unauthorized",
  102: "unknown_room",
  103: "permission_denied",
  104: "method_not_found",
  105: "already_joined",
  106: "limit_exceeded",
  107: "bad_request",
  108: "not_available",
  109: "token_expired",
  110: "expired",
  111: "too_many_requests",
  112: "unrecoverable_position",
  200: "history_behind",
  201: "key_conflict",
  202: "unknown",
  203: "journal_unavailable",
  204: "timeline_unavailable",
  205: "store_unavailable",
  206: "held",
  207: "plugin_fault",
  208: "draining",
  209: "unknown_target",
  210: "muted",
  211: "banned",
  212: "keys_unavailable",
} as const;

/** What a refusal is called. */
export type RefusalName = (typeof REFUSALS)[keyof typeof REFUSALS];

/** Why a session ended, by the codes of its close. */
export const CLOSES = {
  1002: "websocket protocol error",
  1007: "text is not UTF-8",
  1008: "too many control frames",
  1009: "message size limit",
  3000: "connection closed",
  3001: "shutdown",
  3004: "internal server error",
  3005: "connection expired",
  3008: "slow",
  3010: "insufficient state",
  3011: "force reconnect",
  3012: "no pong",
  3013: "too many requests",
  3500: "invalid token",
  3501: "bad request",
  3502: "stale",
  3503: "force disconnect",
  3504: "connection limit",
  3505: "channel limit",
  3506: "message size limit",
  3507: "permission denied",
} as const;
