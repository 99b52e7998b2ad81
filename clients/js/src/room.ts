// A room: its messages as they are now, those on their way, who types and who is there.
import type { Subscription } from "centrifuge";
import type { Confab } from "./client.js";
import { fromPublication, fromWritten, type Event, type Json, type Publication, type Sender } from "./event.js";
import { Fold, type Message } from "./fold.js";
import { freshKey } from "./key.js";
import { Observable } from "./observable.js";
import { belongsBefore, type Outgoing } from "./outbox.js";
import { argumentsOf, overlaid, type Act } from "./overlay.js";
import { compare, later, type Place } from "./place.js";
import { Refused } from "./refused.js";
import type { RoomView, Shown } from "./shown.js";
import { Typing } from "./typing.js";

/** How many messages a page has. */
const PAGE = 80;
/** Past so many messages, the oldest are let go while nobody looks at them. */
const KEPT_MAX = 1000;
/** How often it is asked who is there, in milliseconds. */
const PRESENCE_EVERY = 30_000;

/** One room. Get it from {@link Confab.room}. */
export class Room extends Observable<RoomView> {
  private fold: Fold;
  private sub?: Subscription;
  private users = 0;
  private lookers = 0;
  private status: RoomView["status"] = "closed";
  private reason?: string;
  private loaded = false;
  private next?: Place | null;
  private loadingOlder = false;
  private trouble?: string;
  private readAnew = false;
  private lastPlace?: Place;
  private readPlace?: Place;
  private present?: readonly string[];
  private presenceTimer?: ReturnType<typeof setInterval>;
  private acts: Act[] = [];
  private problems = new Map<string, Shown["problem"]>();
  private notices = new Map<string, string[]>();
  private reading = 0;
  /** What is heard while the newest page is being read. */
  private recent: Event[] = [];
  private readonly senders = new Map<string, Sender>();
  private readonly typing: Typing;
  /** Done once it is known how far the room was read. */
  private readonly remembered: Promise<void>;

  constructor(
    private readonly confab: Confab,
    readonly name: string,
  ) {
    super();
    this.fold = new Fold(confab.user);
    this.typing = new Typing(() => this.changed(), () => void confab.call("typing", { room: name }).catch(() => undefined));
    this.remembered = confab.marker(name).then((place) => {
      this.readPlace = later(this.readPlace, place);
    });
  }

  /** Joins, and reads the newest messages. What it returns leaves again, once nobody else has the room open. In the background
   *  it is not asked who is there: many rooms may be open for what is unread in them. */
  open({ background = false }: { background?: boolean } = {}): () => void {
    this.users += 1;
    if (this.users === 1) this.join();
    if (!background) this.look(1);
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      this.users -= 1;
      if (!background) this.look(-1);
      if (this.users === 0) this.leave();
    };
  }

  /** One more, or one less, looks at the room. */
  private look(by: 1 | -1): void {
    this.lookers += by;
    clearInterval(this.presenceTimer);
    if (this.lookers === 0) return;
    this.presenceTimer = setInterval(() => void this.whoIsThere(), PRESENCE_EVERY);
    (this.presenceTimer as { unref?: () => void }).unref?.(); // in Node, a program ends when it has said goodbye
    if (by > 0) void this.whoIsThere();
  }

  /** Says something. It is shown at once; see {@link Shown.state} for what becomes of it. */
  send(body: Json, thread?: string): Outgoing {
    this.typing.sent();
    return this.confab.outbox.add(this.name, body, thread);
  }

  /** Tries a refused message again. */
  retry(key: string): void {
    this.confab.outbox.retry(key);
  }

  /** Does not show a refused or held message any more; returns it, so that its text can be changed and sent again. */
  discard(key: string): Outgoing | undefined {
    return this.confab.outbox.drop(key);
  }

  /** Gives one of our messages another body. */
  edit(target: string, body: Json): Promise<void> {
    return this.act({ verb: "edit", target, body });
  }

  /** Takes one of our messages back. */
  delete(target: string): Promise<void> {
    return this.act({ verb: "delete", target });
  }

  /** Reacts, or takes the reaction back. */
  react(target: string, reaction: string, on = true): Promise<void> {
    return this.act({ verb: on ? "react" : "unreact", target, reaction });
  }

  /** What was refused about a message has been read. */
  dismiss(id: string): void {
    if (this.problems.delete(id)) this.changed();
  }

  /** Call it whenever somebody types here: others are told every few seconds. */
  type(): void {
    if (this.status === "live") this.typing.typed();
  }

  /** Reads a page of older messages. Does nothing while one is being read, or where there are none. */
  async older(): Promise<void> {
    if (this.loadingOlder || !this.next || !this.loaded) return;
    this.loadingOlder = true;
    this.changed();
    const reading = this.reading;
    try {
      await this.page(this.next, reading);
    } catch (error) {
      this.trouble = Refused.from(error).message;
    }
    this.loadingOlder = false;
    this.changed();
  }

  /** Everything up to a place was read; without one, everything that there is. */
  markRead(place: Place | undefined = this.lastPlace): void {
    const further = later(this.readPlace, place);
    if (!further || further === this.readPlace) return;
    this.readPlace = further;
    void this.confab.keepMarker(this.name, further);
    this.changed();
  }

  /** Somebody, with what their messages, or their being there, have told about them. */
  sender(user: string): Sender {
    return this.senders.get(user) ?? { user };
  }

  /** Everybody who is known to have been here, or to be. */
  people(): Sender[] {
    const users = new Set([...(this.present ?? []), ...this.senders.keys()]);
    return [...users].map((user) => this.sender(user));
  }

  /** Whoever reads has seen that messages were read anew. */
  acknowledge(): void {
    this.readAnew = false;
    this.changed();
  }

  /** Lets go of old messages where there are many; call it while the newest are looked at. */
  trim(): void {
    const messages = this.fold.messages();
    const first = messages[messages.length - KEPT_MAX / 2];
    if (messages.length <= KEPT_MAX || !first) return;
    this.fold.forget(first.place);
    this.next = first.place;
    this.changed();
  }

  /** @internal The last place that is known. */
  get last(): Place | undefined {
    return this.lastPlace;
  }

  /** @internal A message of ours moved on. */
  outgoing(): void {
    this.changed();
  }

  /** @internal Something that the hub told us alone. */
  told(data: { type: string; key?: string; text?: string; reason?: string }): void {
    if (data.type === "notice" && data.key && data.text) {
      this.notices.set(data.key, [...(this.notices.get(data.key) ?? []), data.text]);
    }
    if (data.type === "ban") {
      this.status = "refused";
      this.reason = data.reason;
    }
    this.changed();
  }

  protected override view(): RoomView {
    const outgoing = this.confab.outbox.of(this.name).filter(({ key }) => !this.fold.has(this.confab.user, key));
    const messages: Shown[] = [];
    for (const message of this.fold.messages()) {
      for (const one of outgoing) if (belongsBefore(one, message.place) && !shownAlready(messages, one)) messages.push(this.own(one));
      messages.push(this.shown(message));
    }
    for (const one of outgoing) if (!shownAlready(messages, one)) messages.push(this.own(one));
    const { name, status, reason, loaded, loadingOlder, trouble, readAnew, present, readPlace } = this;
    const unread = this.fold.messages().filter(({ place, sender, deleted }) => !deleted && sender.user !== this.confab.user && isAfter(place, readPlace)).length;
    const hasOlder = !!this.next;
    const typing = this.typing.users();
    return { name, status, reason, messages, loaded, hasOlder, loadingOlder, trouble, readAnew, typing, present, readUpTo: readPlace, unread };
  }

  private shown(message: Message): Shown {
    const problem = this.problems.get(message.id);
    const notices = this.notices.get(message.key);
    const base: Shown = this.plain(message);
    const changed = problem || notices ? { ...base, problem, notices } : base;
    return overlaid(changed, this.acts, this.confab.user);
  }

  private plainOf = new WeakMap<Message, Shown>();

  private plain(message: Message): Shown {
    let shown = this.plainOf.get(message);
    if (!shown) this.plainOf.set(message, (shown = { ...message, state: "sent" }));
    return shown;
  }

  private own({ key, body, thread, at, state, reason, code }: Outgoing): Shown {
    const sender = this.confab.self;
    const notices = this.notices.get(key);
    return { sender, key, at, body, thread, deleted: false, reactions: [], state, reason, code, notices };
  }

  private join(): void {
    this.status = "joining";
    const sub = (this.sub = this.confab.subscription(this.name));
    sub.on("publication", (publication) => this.heard(publication as unknown as Publication));
    sub.on("subscribing", () => this.set(this.loaded ? "away" : "joining"));
    sub.on("unsubscribed", ({ code, reason }) => {
      if (code !== 0) this.set("refused", reason);
    });
    sub.on("subscribed", ({ wasRecovering, recovered, streamPosition }) => {
      if (streamPosition) this.reached(streamPosition);
      this.set("live");
      if (!this.loaded || (wasRecovering && !recovered)) void this.read(this.loaded);
      void this.whoIsThere();
    });
    const changed = () => void this.whoIsThere();
    sub.on("join", changed).on("leave", changed);
    sub.subscribe();
    this.changed();
  }

  private leave(): void {
    this.reading += 1;
    if (this.sub) this.confab.leave(this.sub);
    this.sub = undefined;
    this.typing.clear();
    this.fold = new Fold(this.confab.user);
    this.acts = [];
    this.loaded = false;
    this.next = undefined;
    this.set("closed");
  }

  private set(status: RoomView["status"], reason?: string): void {
    this.status = status;
    this.reason = reason;
    this.changed();
  }

  private heard(publication: Publication): void {
    const event = fromPublication(publication);
    if (!event) {
      const { user, connInfo } = publication.info ?? {};
      if (publication.tags?.type !== "typing" || !user || user === this.confab.user) return;
      if (connInfo) this.senders.set(user, { user, info: connInfo as Json });
      this.typing.heard(user);
      return;
    }
    this.apply(event);
  }

  private apply(event: Event): void {
    this.reached(event.place);
    this.fold.apply(event);
    if (!this.loaded || this.readAnew) this.recent.push(event);
    this.senders.set(event.sender.user, event.sender);
    this.typing.spoke(event.sender.user);
    if (event.sender.user === this.confab.user) {
      this.confab.outbox.heard(event.key);
      this.acts = this.acts.filter((act) => act.key !== event.key);
    }
    this.changed();
  }

  private reached(place: Place): void {
    this.lastPlace = later(this.lastPlace, place);
  }

  /** Reads the newest page; again and again, while that is refused for the moment. */
  private async read(anew: boolean): Promise<void> {
    const reading = ++this.reading;
    // What was missed may have changed any message. What there is stays in sight until the new page is there.
    if (anew) this.readAnew = true;
    this.recent = [];
    for (let tries = 0; reading === this.reading; tries++) {
      try {
        await this.page(undefined, reading, anew);
        return;
      } catch (error) {
        const refused = Refused.from(error);
        if (reading !== this.reading) return;
        this.trouble = refused.message;
        this.changed();
        if (!refused.temporary) return;
        await new Promise((resolve) => setTimeout(resolve, refused.retryAfter ?? Math.min(5000, 250 * 2 ** tries)));
      }
    }
  }

  /** Reads messages before a place, until there are some or no more. */
  private async page(before: Place | undefined, reading: number, anew = false): Promise<void> {
    for (let from = before, found = 0; ; ) {
      const [page] = await Promise.all([this.confab.page(this.name, from, PAGE), this.remembered]);
      if (reading !== this.reading) return;
      if (!this.readPlace) this.markRead(page.asOf); // here for the first time: nothing of it is news
      if (anew) {
        this.fold = this.since(page.asOf);
        anew = false;
      }
      if (page.messages) this.fold.page(page.messages, page.asOf);
      for (const event of page.events ?? []) this.fold.apply(fromWritten(event));
      for (const { sender, key } of page.messages ?? page.events ?? []) {
        if (!this.senders.has(sender.user)) this.senders.set(sender.user, sender);
        if (sender.user === this.confab.user) this.confab.outbox.heard(key);
      }
      found += page.messages?.length ?? page.events?.length ?? 0;
      this.acts = this.acts.filter(({ place }) => !place || compare(place, page.asOf) > 0);
      this.reached(page.asOf);
      this.next = page.next;
      this.loaded = true;
      this.recent = [];
      this.trouble = undefined;
      this.changed();
      if (found > 0 || !page.next) return;
      from = page.next;
    }
  }

  /** A fold with nothing in it; what comes after the page is heard, and what came before is in it. */
  private since(asOf: Place): Fold {
    const fold = new Fold(this.confab.user);
    for (const event of this.recent) if (compare(event.place, asOf) > 0) fold.apply(event);
    return fold;
  }

  /** Does something to a message: shown at once, asked until it is answered, and taken back if it is refused. */
  private async act(wanted: { verb: Act["verb"]; target: string; body?: Json; reaction?: string }): Promise<void> {
    const act: Act = { ...wanted, key: freshKey() };
    this.problems.delete(act.target);
    this.acts = [...this.acts, act];
    this.changed();
    try {
      const receipt = await this.confab.insist(act.verb, argumentsOf(this.name, act));
      // Its event says what became of it. Where that was heard before, or is in a page, nothing is left to show.
      const place = { epoch: receipt.epoch, offset: receipt.offset };
      const known = this.status === "closed" || this.fold.knows(receipt.id, place);
      this.acts = this.acts.flatMap((one) => (one.key !== act.key ? [one] : known ? [] : [{ ...one, place }]));
    } catch (error) {
      const { message: reason } = Refused.from(error);
      this.problems.set(act.target, { verb: act.verb, reason, body: act.body });
      this.acts = this.acts.filter(({ key }) => key !== act.key);
    }
    this.changed();
  }

  private async whoIsThere(): Promise<void> {
    if (this.status !== "live" || this.lookers === 0) return;
    const found = await this.confab.present(this.name);
    for (const one of found ?? []) if (one.info) this.senders.set(one.user, one);
    const present = found?.map(({ user }) => user);
    if (JSON.stringify(present) === JSON.stringify(this.present)) return;
    this.present = present;
    this.changed();
  }
}

function shownAlready(messages: readonly Shown[], { key }: Outgoing): boolean {
  return messages.some((one) => one.key === key && one.id === undefined);
}

function isAfter(place: Place, read: Place | undefined): boolean {
  return !read || later(read, place) !== read;
}
