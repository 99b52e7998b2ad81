// The outbox: messages that are on their way. Each is kept until the hub has answered, also over a reload, and is sent under
// one key, so that it is said once.
import type { Json } from "./event.js";
import type { Receipt } from "./generated.js";
import { freshKey } from "./key.js";
import { compare, type Place } from "./place.js";
import { Refused } from "./refused.js";
import type { Storage } from "./storage.js";

/** A message that was not said yet, or was refused. */
export interface Outgoing {
  readonly key: string;
  readonly room: string;
  readonly body: Json;
  readonly thread?: string;
  /** When it was written, in milliseconds since 1970. */
  readonly at: number;
  /** `waiting` for a connection or its turn, `sending`, `refused` for good, `held` for a moderator, or `sent`. */
  readonly state: "waiting" | "sending" | "refused" | "held" | "sent";
  /** Why it was refused or held. */
  readonly reason?: string;
  /** The code of the refusal. */
  readonly code?: number;
  /** The id that moderators know it by. */
  readonly heldAs?: string;
  /** The last place of the room when it was refused or held. */
  readonly after?: Place;
}

/** What the outbox asks of its client. */
export interface Carrier {
  send(message: Outgoing): Promise<Receipt>;
  /** Resolves when a connection is there. */
  ready(): Promise<void>;
  /** The last place that is known of a room. */
  last(room: string): Place | undefined;
  /** Something of this room changed; with a receipt, if a message was said. */
  changed(room: string, message: Outgoing, receipt?: Receipt): void;
}

/** The longest pause between two tries, in milliseconds. */
const PAUSE_MAX = 10_000;

/** The messages on their way, of all rooms. */
export class Outbox {
  private entries = new Map<string, Outgoing>();
  private underway = new Set<string>();
  private closed = false;
  readonly loaded: Promise<void>;

  constructor(
    private readonly storage: Storage,
    private readonly prefix: string,
    private readonly carrier: Carrier,
  ) {
    this.loaded = this.load();
  }

  /** Those of a room, in the order in which they were written. */
  of(room: string): Outgoing[] {
    return [...this.entries.values()].filter((one) => one.room === room);
  }

  /** How many are neither sent nor refused nor held. */
  get waiting(): number {
    return [...this.entries.values()].filter(({ state }) => state === "waiting" || state === "sending").length;
  }

  /** Takes a message in. It is on its way when this returns. */
  add(room: string, body: Json, thread?: string): Outgoing {
    const message: Outgoing = { key: freshKey(), room, body, thread, at: Date.now(), state: "waiting" };
    this.entries.set(message.key, message);
    this.carrier.changed(room, message);
    void this.keep(message).then(() => this.loaded).then(() => this.flush(room));
    return message;
  }

  /** Lets go of a message; what was refused or held is not shown any more. */
  drop(key: string): Outgoing | undefined {
    const message = this.entries.get(key);
    if (!message) return undefined;
    this.entries.delete(key);
    void this.storage.remove(this.prefix + key).catch(() => undefined);
    this.carrier.changed(message.room, message);
    return message;
  }

  /** Tries a refused message again, under its key. */
  retry(key: string): void {
    const message = this.entries.get(key);
    if (message?.state === "refused") {
      this.set(message, { state: "waiting", reason: undefined, code: undefined, after: undefined });
      void this.flush(message.room);
    }
  }

  /** What a moderator decided. */
  decided(heldAs: string, approved: boolean, reason?: string): void {
    for (const message of this.entries.values()) {
      if (message.heldAs !== heldAs) continue;
      if (approved) this.drop(message.key);
      else this.set(message, { state: "refused", heldAs: undefined, reason: reason || "A moderator declined it." });
    }
  }

  /** A message of ours is in the room: under its own key, or under the one of an approval. */
  heard(key: string): void {
    if (this.entries.get(key)?.state === "sent") this.drop(key);
    const approved = /^approved:(.+)$/.exec(key)?.[1];
    if (approved) this.decided(approved, true);
  }

  /** Sends nothing more, until it is opened again. */
  close(): void {
    this.closed = true;
  }

  /** Sends what waits, now and from now on. */
  open(): void {
    this.closed = false;
    this.flushAll();
  }

  private flushAll(): void {
    for (const room of new Set([...this.entries.values()].map(({ room }) => room))) void this.flush(room);
  }

  private async load(): Promise<void> {
    const kept = await this.storage.all(this.prefix).catch(() => []);
    const later = [...this.entries];
    this.entries.clear();
    for (const [, value] of kept) {
      const message = value as Outgoing;
      this.entries.set(message.key, message.state === "sending" ? { ...message, state: "waiting" } : message);
    }
    for (const [key, message] of later) this.entries.set(key, message);
    for (const message of this.entries.values()) this.carrier.changed(message.room, message);
    this.flushAll();
  }

  /** Sends what waits in a room, one after the other, so that it is said in the order in which it was written. */
  private async flush(room: string): Promise<void> {
    if (this.underway.has(room)) return;
    this.underway.add(room);
    try {
      for (let next = this.next(room); next && !this.closed; next = this.next(room)) await this.carry(next);
    } finally {
      this.underway.delete(room);
    }
  }

  private next(room: string): Outgoing | undefined {
    return this.of(room).find(({ state }) => state === "waiting");
  }

  private async carry(message: Outgoing): Promise<void> {
    for (let tries = 0; !this.closed && this.entries.has(message.key); tries++) {
      await this.carrier.ready().catch(() => undefined);
      try {
        this.set(message, { state: "sending" });
        const receipt = await this.carrier.send(message);
        this.entries.set(message.key, { ...message, state: "sent" });
        void this.storage.remove(this.prefix + message.key).catch(() => undefined);
        this.carrier.changed(message.room, { ...message, state: "sent" }, receipt);
        return;
      } catch (error) {
        const refused = Refused.from(error);
        if (!refused.temporary) return this.refuse(message, refused);
        this.set(message, { state: "waiting" });
        await pause(refused.retryAfter ?? Math.min(PAUSE_MAX, 250 * 2 ** tries) * (0.5 + Math.random() / 2));
      }
    }
  }

  private refuse(message: Outgoing, refused: Refused): void {
    const after = this.carrier.last(message.room);
    const held = refused.held;
    if (held) this.set(message, { state: "held", heldAs: held.id, reason: held.reason, code: refused.code, after });
    else this.set(message, { state: "refused", reason: refused.message, code: refused.code, after });
  }

  private set(message: Outgoing, change: Partial<Outgoing>): void {
    const before = this.entries.get(message.key);
    if (!before) return;
    const now = { ...before, ...change };
    this.entries.set(message.key, now);
    if (change.state !== "sending") void this.keep(now);
    this.carrier.changed(message.room, now);
  }

  /** A message that cannot be kept is sent all the same: it would only not survive a reload. */
  private keep(message: Outgoing): Promise<void> {
    return this.storage.put(this.prefix + message.key, message).catch(() => undefined);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Whether `message` belongs before a message that stands at `place`: it was refused or held while the room was shorter. */
export function belongsBefore(message: Outgoing, place: Place): boolean {
  return message.after !== undefined && compare(message.after, place) < 0;
}
