// The fold: what turns a room's events into messages, in any order of arrival; the same as the hub's store does.
import type { Event, Json, Sender } from "./event.js";
import { compare, later, type Place } from "./place.js";

/** How often a reaction stands on a message. */
export interface Reaction {
  readonly reaction: string;
  readonly count: number;
  /** Whether it is (also) the reader's. */
  readonly own: boolean;
  /** Who is known to have reacted so, the earliest first; where a page only gave numbers, these are not all. */
  readonly users: readonly string[];
}

/** A message as it is now. */
export interface Message {
  readonly id: string;
  readonly sender: Sender;
  readonly key: string;
  readonly place: Place;
  /** When it was said, in milliseconds since 1970. */
  readonly at: number;
  /** Its newest body; `null` once it is deleted. */
  readonly body: Json;
  readonly annotations?: { readonly [name: string]: Json };
  readonly thread?: string;
  readonly editedAt?: number;
  readonly deleted: boolean;
  readonly reactions: readonly Reaction[];
}

/** A message as the verb `messages` gives it. */
export interface WrittenMessage {
  id: string;
  sender: Sender;
  key: string;
  epoch: string;
  offset: number;
  at: number;
  body: Json;
  annotations?: { [name: string]: Json };
  thread?: string;
  edited_at?: number;
  deleted: boolean;
  reactions: { reaction: string; count: number; own: boolean }[];
}

/** The longest reaction, in bytes of UTF-8. */
const REACTION_BYTES_MAX = 255;

interface Word {
  place: Place;
  present: boolean;
}

/** What is known of one message; each part remembers the place that wrote it, and an earlier one never overwrites. */
class Row {
  said?: Event;
  edited?: Event;
  deletedAt?: Place;
  /** What a page said, and up to which place that holds. */
  page?: { message: WrittenMessage; asOf: Place };
  /** The last word of each user on each reaction. */
  words = new Map<string, Map<string, Word>>();
  view?: Message;
  /** The place at which it stands in the list of its fold. */
  stood?: Place;

  apply(event: Event): void {
    if (this.page && compare(event.place, this.page.asOf) <= 0) return;
    this.view = undefined;
    switch (event.type) {
      case "message":
        if (!this.said || compare(event.place, this.said.place) < 0) this.said = event;
        break;
      case "edit":
        if (!this.edited || compare(this.edited.place, event.place) < 0) this.edited = event;
        break;
      case "delete":
        if (!this.deletedAt || compare(event.place, this.deletedAt) < 0) this.deletedAt = event.place;
        break;
      case "reaction":
      case "unreaction":
        this.react(event);
    }
  }

  private react(event: Event): void {
    const reaction = reactionOf(event.body);
    if (reaction === undefined) return;
    this.hear(reaction, event.sender.user, { place: event.place, present: event.type === "reaction" });
  }

  private hear(reaction: string, user: string, word: Word): void {
    let users = this.words.get(reaction);
    if (!users) this.words.set(reaction, (users = new Map()));
    const before = users.get(user);
    if (!before || compare(before.place, word.place) < 0) users.set(user, word);
  }

  /** Takes over what waited under another id of the same message. */
  merge(other: Row): void {
    this.view = undefined;
    for (const event of [other.said, other.edited]) if (event) this.apply(event);
    if (other.deletedAt && (!this.deletedAt || compare(other.deletedAt, this.deletedAt) < 0)) this.deletedAt = other.deletedAt;
    for (const [reaction, users] of other.words) for (const [user, word] of users) this.hear(reaction, user, word);
    if (other.page && !this.page) this.page = other.page;
  }

  place(): Place | undefined {
    const page = this.page?.message;
    return page ? { epoch: page.epoch, offset: page.offset } : this.said?.place;
  }

  message(reader: string): Message | undefined {
    return (this.view ??= this.build(reader));
  }

  private build(reader: string): Message | undefined {
    const page = this.page?.message;
    const place = this.place();
    const first = page ?? this.said;
    if (!first || !place) return undefined;
    const deleted = page?.deleted || this.deletedAt !== undefined;
    const words = deleted ? undefined : (this.edited ?? first);
    return {
      id: first.id,
      sender: first.sender,
      key: first.key,
      place,
      at: first.at,
      body: words ? words.body : null,
      annotations: words?.annotations,
      thread: first.thread,
      editedAt: this.edited?.at ?? page?.edited_at,
      deleted,
      reactions: this.reactions(reader),
    };
  }

  private reactions(reader: string): Reaction[] {
    const found: (Reaction & { since?: Place })[] = [];
    for (const given of this.page?.message.reactions ?? []) found.push({ ...given, users: given.own ? [reader] : [] });
    for (const [reaction, users] of this.words) {
      const before = found.find((one) => one.reaction === reaction);
      const after = countedOn(reaction, before, users, reader);
      if (before) found[found.indexOf(before)] = after;
      else found.push(after);
    }
    const standing = found.filter((one) => one.count > 0);
    standing.sort((a, b) => (a.since && b.since ? compare(a.since, b.since) : Number(!!a.since) - Number(!!b.since)));
    return standing.map(({ reaction, count, own, users }) => ({ reaction, count, own, users }));
  }
}

/** A page's number of a reaction, and what users said since: who is not known to have reacted before counts anew. */
function countedOn(reaction: string, before: Reaction | undefined, users: Map<string, Word>, reader: string): Reaction & { since?: Place } {
  let count = before?.count ?? 0;
  let own = before?.own ?? false;
  const present = [...users].filter(([, word]) => word.present).sort(([a, x], [b, y]) => compare(x.place, y.place) || (a < b ? -1 : 1));
  for (const [user, { present }] of users) {
    const had = user === reader ? (before?.own ?? false) : !present && before !== undefined;
    if (present && !had) count += 1;
    if (!present && had) count -= 1;
    if (user === reader) own = present;
  }
  const known = present.map(([user]) => user);
  if (before?.own && !users.has(reader)) known.unshift(reader);
  return { reaction, count: Math.max(count, known.length), own, users: known, since: before ? undefined : present[0]?.[1].place };
}

function reactionOf(body: Json): string | undefined {
  const named = body !== null && typeof body === "object" && !Array.isArray(body) ? body.reaction : undefined;
  if (typeof named !== "string" || new TextEncoder().encode(named).length > REACTION_BYTES_MAX) return undefined;
  return named;
}

/** Messages of one room, for one reader. */
export class Fold {
  private rows = new Map<string, Row>();
  /** Which message stands for a sender's key. The same key is the same message, also under another id. */
  private named = new Map<string, string>();
  /** The first event of a sender's key that is no message. What is said again under its key says nothing more. */
  private acted = new Map<string, string>();
  /** Ids that a message was said again under, and that of the message that stands. */
  private alias = new Map<string, string>();
  private heard = new Set<string>();
  /** Up to where pages were read. */
  private asOf?: Place;
  /** The messages as they were given last. */
  private given?: readonly Message[];
  /** The rows of messages, in order unless `unsorted`; absent after some have gone. */
  private standing?: Row[];
  private unsorted = false;

  constructor(readonly reader: string) {}

  /** Folds an event in, wherever it stands; what was folded in before changes nothing. */
  apply(event: Event): void {
    if (this.heard.has(onceOf(event.id, event.place))) return;
    this.heard.add(onceOf(event.id, event.place));
    this.given = undefined;
    if (event.type === "message") {
      const row = this.row(this.name(event.id, event.sender.user, event.key, event.place));
      row.apply(event);
      this.stand(row);
    } else if (event.target && ["edit", "delete", "reaction", "unreaction"].includes(event.type)) {
      const name = nameOf(event.sender.user, event.key);
      const first = this.acted.get(name);
      if (first === undefined) this.acted.set(name, event.id);
      else if (first !== event.id && event.type !== "delete") return;
      this.row(this.resolve(event.target)).apply(event);
    }
  }

  /** Takes over messages as they are up to a place. Events after it are folded in on top, whenever they come. */
  page(messages: readonly WrittenMessage[], asOf: Place): void {
    this.given = undefined;
    this.asOf = later(this.asOf, asOf);
    for (const message of messages) {
      const row = this.row(this.name(message.id, message.sender.user, message.key, message));
      row.view = undefined;
      if (row.page && compare(asOf, row.page.asOf) < 0) continue;
      row.page = { message, asOf };
      this.stand(row);
      if (row.edited && compare(row.edited.place, asOf) <= 0) row.edited = undefined;
      if (row.deletedAt && compare(row.deletedAt, asOf) <= 0) row.deletedAt = undefined;
      for (const users of row.words.values()) {
        for (const [user, word] of users) if (compare(word.place, asOf) <= 0) users.delete(user);
      }
    }
  }

  /** Whether this event was folded in, by itself or in a page. */
  knows(id: string, place: Place): boolean {
    return this.heard.has(onceOf(id, place)) || (this.asOf !== undefined && compare(place, this.asOf) <= 0);
  }

  /** The messages in the order of their places. The list and each message are the same objects as long as nothing changed. */
  messages(): readonly Message[] {
    return (this.given ??= this.inOrder().flatMap((row) => row.message(this.reader) ?? []));
  }

  /** The message of that id. */
  message(id: string): Message | undefined {
    return this.rows.get(this.resolve(id))?.message(this.reader);
  }

  /** Whether a message of this sender and key has come. */
  has(sender: string, key: string): boolean {
    return this.named.has(nameOf(sender, key));
  }

  /** Lets go of messages before a place, and of what waited for them. */
  forget(before: Place): void {
    this.given = undefined;
    for (const [id, row] of this.rows) {
      const place = row.place();
      if (!place || compare(place, before) < 0) this.rows.delete(id);
    }
    this.standing = undefined;
    this.heard.clear(); // rows remember places: what comes again changes nothing
    for (const [name, id] of this.named) if (!this.rows.has(id)) this.named.delete(name);
    this.acted.clear();
  }

  /** A row has a place, or another one than before. What is newest, as nearly everything that is heard, needs no sorting. */
  private stand(row: Row): void {
    const list = this.standing;
    const place = row.place();
    if (!list || !place || compareRows(row.stood, place) === 0) return;
    const last = list.at(-1)?.place();
    this.unsorted ||= row.stood !== undefined || (last !== undefined && compare(place, last) < 0);
    if (row.stood === undefined) list.push(row);
    row.stood = place;
  }

  private inOrder(): Row[] {
    if (!this.standing) {
      this.standing = [...this.rows.values()].filter((row) => (row.stood = row.place()) !== undefined);
      this.unsorted = true;
    }
    if (this.unsorted) this.standing.sort((a, b) => compareRows(a.place(), b.place()));
    this.unsorted = false;
    return this.standing;
  }

  private resolve(id: string): string {
    for (let of = this.alias.get(id); of !== undefined; of = this.alias.get(id)) id = of;
    return id;
  }

  private row(id: string): Row {
    let row = this.rows.get(id);
    if (!row) this.rows.set(id, (row = new Row()));
    return row;
  }

  /** Under which id a message stands: of several of the same sender and key, that of the first place. */
  private name(id: string, sender: string, key: string, place: Place): string {
    const name = nameOf(sender, key);
    const standing = this.named.get(name);
    if (standing === undefined || standing === id) {
      this.named.set(name, id);
      return id;
    }
    const before = this.rows.get(standing)?.place();
    const [of, other] = before && compare(place, before) < 0 ? [id, standing] : [standing, id];
    this.named.set(name, of);
    this.alias.set(other, of);
    const waited = this.rows.get(other);
    if (waited) {
      this.rows.delete(other);
      this.standing = undefined;
      const row = this.row(of);
      row.merge(waited);
    }
    return of;
  }
}

function onceOf(id: string, { epoch, offset }: Place): string {
  return `${id} ${epoch} ${offset}`;
}

/** Rows without a place come last; there are none in a list. */
function compareRows(a: Place | undefined, b: Place | undefined): number {
  return a && b ? compare(a, b) : Number(!a) - Number(!b);
}

function nameOf(sender: string, key: string): string {
  return `${sender}\n${key}`;
}
