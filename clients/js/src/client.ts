// The client: one connection to a hub, and the rooms that are looked at through it.
import { Centrifuge, type Subscription } from "centrifuge";
import type { Json, Sender, WrittenEvent } from "./event.js";
import type { WrittenMessage } from "./fold.js";
import type { Arguments, Receipt, Results, Room as RoomRow, Verb } from "./generated.js";
import { Observable } from "./observable.js";
import { Outbox, type Outgoing } from "./outbox.js";
import type { Place } from "./place.js";
import { Refused } from "./refused.js";
import { Room } from "./room.js";
import { defaultStorage, type Storage } from "./storage.js";

/** How to reach a hub, and as whom. */
export interface Options {
  /** Such as `wss://chat.example.com/connection/websocket`. */
  url: string;
  /** A token that says who one is. */
  token?: string;
  /** Brings a token when there is none or it has run out. */
  getToken?: () => Promise<string>;
  /** Brings a token for a room that wants one. */
  getRoomToken?: (room: string) => Promise<string>;
  /** Who one is, without a token: only a hub in development mode believes it. */
  user?: string;
  /** The WebSocket to use where the system has none, as in Node before version 22: that of the npm package `ws`. */
  websocket?: unknown;
  /** Where unsent messages are kept; IndexedDB where there is one, else memory. */
  storage?: Storage;
}

/** How the connection is. */
export interface ConnectionView {
  /** `offline` comes back by itself; `closed` does not: the hub said so, or nobody connected yet. */
  readonly state: "closed" | "connecting" | "connected" | "offline";
  /** Why it is closed. */
  readonly reason?: string;
  readonly code?: number;
  /** How many messages wait to be sent. */
  readonly waiting: number;
  /** How often the hub has said that our rooms changed: ask {@link Confab.myRooms} again. */
  readonly roomsChanged: number;
}

/** A page of the past: messages as they are, or the events of a hub that has no verb `messages`. */
export interface Page {
  messages?: WrittenMessage[];
  events?: WrittenEvent[];
  next: Place | null;
  asOf: Place;
}

/** One connection to a hub. */
export class Confab extends Observable<ConnectionView> {
  /** Who we are. */
  readonly user: string;
  /** Who we are, as others see us: with the `info` of our token. */
  readonly self: Sender;
  /** @internal */
  readonly outbox: Outbox;
  private readonly link: Centrifuge;
  private readonly rooms = new Map<string, Room>();
  private readonly storage: Storage;
  private readonly prefix: string;
  private state: ConnectionView["state"] = "closed";
  private reason?: string;
  private code?: number;
  private wasThere = false;
  private roomsChanged = 0;
  private folds = true;

  constructor(private readonly options: Options) {
    super();
    const claims = claimsOf(options.token);
    this.user = options.user ?? claims?.sub ?? "";
    this.self = { user: this.user, ...(claims?.info === undefined ? {} : { info: claims.info }) };
    this.storage = options.storage ?? defaultStorage();
    this.prefix = `${options.url} ${this.user} `;
    this.link = new Centrifuge(options.url, {
      ...(options.token ? { token: options.token } : {}),
      ...(options.getToken ? { getToken: options.getToken } : {}),
      ...(options.token || options.getToken ? {} : { data: { user: this.user } }),
      ...(options.websocket ? { websocket: options.websocket } : {}),
      minReconnectDelay: 250,
      maxReconnectDelay: 10_000,
    });
    this.outbox = new Outbox(this.storage, `${this.prefix}out `, {
      send: ({ key, room, body, thread }) => this.call("send", thread ? { room, key, body, thread } : { room, key, body }),
      ready: () => this.link.ready(),
      last: (room) => this.rooms.get(room)?.last,
      changed: (room, message, receipt) => this.moved(room, message, receipt),
    });
    this.listen();
  }

  /** Connects, and comes back by itself whenever the connection is lost. */
  connect(): void {
    this.outbox.open();
    this.link.connect();
  }

  /** Says goodbye. What was not sent is kept. */
  disconnect(): void {
    this.outbox.close();
    this.link.disconnect();
  }

  /** The room of that name; the same object each time. It is joined once it is opened. */
  room(name: string): Room {
    let room = this.rooms.get(name);
    if (!room) this.rooms.set(name, (room = new Room(this, name)));
    return room;
  }

  /** Calls a verb once. Throws {@link Refused}. */
  async call<V extends Verb>(verb: V, given: Arguments[V]): Promise<Results[V]> {
    try {
      return (await this.link.rpc(verb, given)).data as Results[V];
    } catch (error) {
      throw Refused.from(error);
    }
  }

  /** Calls a verb that has a key until it is answered for good: the same key is done once. Throws {@link Refused}. */
  async insist<V extends "send" | "edit" | "delete" | "react" | "unreact">(verb: V, given: object): Promise<Receipt> {
    for (let tries = 0; ; tries++) {
      try {
        await this.link.ready();
        return await this.call(verb, given as Arguments[V]);
      } catch (error) {
        const refused = Refused.from(error);
        if (!refused.temporary || this.state === "closed") throw refused;
        await new Promise((resolve) => setTimeout(resolve, refused.retryAfter ?? Math.min(10_000, 250 * 2 ** tries)));
      }
    }
  }

  /** The rooms that we are a member of; `undefined` from a hub that keeps none, or for whom it keeps none, such as guests. */
  async myRooms(): Promise<RoomRow[] | undefined> {
    const rooms: RoomRow[] = [];
    try {
      for (let after: string | null | undefined; ; ) {
        const page: Results["rooms"] = await this.call("rooms", after ? { after } : {});
        rooms.push(...page.rooms);
        after = page.next;
        if (!after) return rooms;
      }
    } catch (error) {
      const refused = Refused.from(error);
      if (refused.temporary) throw refused;
      return undefined;
    }
  }

  /** @internal */
  subscription(room: string): Subscription {
    const { getRoomToken } = this.options;
    const before = this.link.getSubscription(room);
    if (before) this.link.removeSubscription(before);
    return this.link.newSubscription(room, {
      joinLeave: true,
      ...(getRoomToken ? { getToken: () => getRoomToken(room) } : {}),
    });
  }

  /** @internal */
  leave(sub: Subscription): void {
    sub.removeAllListeners();
    this.link.removeSubscription(sub);
  }

  /** @internal Messages before a place, or the newest. */
  async page(room: string, before: Place | undefined, limit: number): Promise<Page> {
    const place = before && { epoch: before.epoch, offset: before.offset };
    if (this.folds) {
      try {
        const { messages, next, epoch, offset } = await this.call("messages", { room, limit, ...(place ? { before: place } : {}) });
        return { messages, next, asOf: { epoch, offset } };
      } catch (error) {
        if (Refused.from(error).kind !== "not_available") throw error;
        this.folds = false; // an older hub: it has the log, and the fold is here
      }
    }
    const { events, next, epoch, offset } = await this.call("history", { room, limit: 200, reverse: true, ...(place ? { since: place } : {}) });
    return { events, next, asOf: { epoch, offset } };
  }

  /** @internal Who is there, each once; `undefined` where the room does not say. */
  async present(room: string): Promise<Sender[] | undefined> {
    try {
      const { clients } = await this.link.presence(room);
      const users = new Map(Object.values(clients).map(({ user, connInfo }) => [user, { user, info: connInfo as Json | undefined }]));
      return [...users.values()].sort((a, b) => (a.user < b.user ? -1 : 1));
    } catch {
      return undefined;
    }
  }

  /** @internal How far a room was read, as this browser remembers. */
  async marker(room: string): Promise<Place | undefined> {
    const [found] = await this.storage.all(`${this.prefix}read ${room}\n`).catch(() => []);
    return found?.[1] as Place | undefined;
  }

  /** @internal */
  async keepMarker(room: string, { epoch, offset }: Place): Promise<void> {
    await this.storage.put(`${this.prefix}read ${room}\n`, { epoch, offset }).catch(() => undefined);
  }

  protected override view(): ConnectionView {
    const { state, reason, code } = this;
    return { state, reason, code, waiting: this.outbox.waiting, roomsChanged: this.roomsChanged };
  }

  private listen(): void {
    this.link.on("connecting", () => this.set(this.wasThere ? "offline" : "connecting"));
    this.link.on("connected", () => {
      this.wasThere = true;
      this.set("connected");
    });
    this.link.on("disconnected", ({ code, reason }) => this.set("closed", reason, code));
    this.link.on("message", ({ data }) => this.told(data));
  }

  private set(state: ConnectionView["state"], reason?: string, code?: number): void {
    [this.state, this.reason, this.code] = [state, reason, code];
    this.changed();
  }

  private told(data: { type?: string; room?: string; id?: string; decision?: string; reason?: string }): void {
    if (data?.type === "review" && data.id) this.outbox.decided(data.id, data.decision === "approved", data.reason);
    if (data?.type === "rooms") {
      this.roomsChanged += 1;
      this.changed();
    }
    if (data?.type && data.room) this.rooms.get(data.room)?.told(data as { type: string });
  }

  private moved(room: string, message: Outgoing, receipt?: Receipt): void {
    this.rooms.get(room)?.outgoing();
    // A room that nobody looks at has no event to wait for.
    if (receipt && this.rooms.get(room)?.snapshot().status !== "live") this.outbox.heard(message.key);
    this.changed();
  }
}

/** What a token says of its user. It is only read, not checked: that is the hub's work. */
function claimsOf(token: string | undefined): { sub?: string; info?: Json } | undefined {
  const claims = token?.split(".")[1];
  if (!claims) return undefined;
  try {
    const bytes = Uint8Array.from(atob(claims.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)) as { sub?: string; info?: Json };
  } catch {
    return undefined;
  }
}
