// @confab/client: chat with a Confab hub.
export { Confab, type ConnectionView, type Options } from "./client.js";
export { Room } from "./room.js";
export type { RoomView, Shown } from "./shown.js";
export { Fold, type Message, type Reaction, type WrittenMessage } from "./fold.js";
export { fromPublication, fromWritten, type Event, type Json, type Sender, type WrittenEvent } from "./event.js";
export { compare, later, type Place } from "./place.js";
export { freshKey } from "./key.js";
export { Refused } from "./refused.js";
export { Observable } from "./observable.js";
export { type Outgoing } from "./outbox.js";
export { BrowserStorage, MemoryStorage, type Storage } from "./storage.js";
export type { Held, Room as RoomRow } from "./results.js";
export * from "./generated.js";
