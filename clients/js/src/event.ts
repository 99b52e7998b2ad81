// Events: what happens in a room, read from the hub's JSON form or from a publication.
import type { Place } from "./place.js";

/** Any JSON. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** Who said something. `user` is `plugin:<name>` where a plugin spoke. */
export interface Sender {
  readonly user: string;
  readonly client?: string;
  readonly info?: Json;
}

/** Something that happened in a room and took a place there. Types that a client does not know change nothing. */
export interface Event {
  readonly type: string;
  readonly id: string;
  readonly sender: Sender;
  readonly key: string;
  /** When the hub stamped it, in milliseconds since 1970. */
  readonly at: number;
  readonly place: Place;
  readonly body: Json;
  readonly target?: string;
  readonly thread?: string;
  /** What plugins added beside the body. */
  readonly annotations?: { readonly [name: string]: Json };
}

/** An event in the hub's JSON form, as the verb `history` gives it. */
export interface WrittenEvent {
  type: string;
  id: string;
  sender: Sender;
  key: string;
  at: number;
  epoch: string;
  offset: number;
  body: Json;
  target?: string;
  thread?: string;
  annotations?: { [name: string]: Json };
}

/** Reads an event in the hub's JSON form. */
export function fromWritten({ epoch, offset, type, id, sender, key, at, body, target, thread, annotations }: WrittenEvent): Event {
  return { type, id, sender, key, at, place: { epoch, offset }, body, target, thread, annotations };
}

/** What of a publication of the native protocol is read. */
export interface Publication {
  data: unknown;
  offset?: number;
  time?: number;
  info?: { user: string; client?: string; connInfo?: unknown };
  tags?: { [name: string]: string };
}

/** Reads a publication that took a place; `undefined` for what took none, such as typing. */
export function fromPublication({ data, offset, time, info, tags }: Publication): Event | undefined {
  if (!offset || !tags?.type || !tags.id || !info) return undefined;
  return {
    type: tags.type,
    id: tags.id,
    sender: { user: info.user, client: info.client || undefined, info: info.connInfo as Json | undefined },
    key: tags.key ?? "",
    at: time ?? timeOf(tags.id),
    place: { epoch: tags.epoch ?? "", offset },
    body: data as Json,
    target: tags.target,
    thread: tags.thread,
    annotations: annotationsOf(tags.annotations),
  };
}

/** When an id was made: a UUID of version 7 begins with the milliseconds. Not every SDK hands on a publication's `time`. */
function timeOf(id: string): number {
  return Number.parseInt(id.replace("-", "").slice(0, 12), 16) || 0;
}

function annotationsOf(text: string | undefined): { [name: string]: Json } | undefined {
  if (!text) return undefined;
  try {
    return JSON.parse(text) as { [name: string]: Json };
  } catch {
    return undefined; // what cannot be read annotates nothing
  }
}
