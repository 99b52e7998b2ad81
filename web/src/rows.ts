// From messages to rows: days, where the unread begins, and who goes on speaking.
import { compare, type Place, type Shown } from "@confab/client";

export type Row =
  | { kind: "begin"; key: "begin" }
  | { kind: "day"; key: string; at: number }
  | { kind: "unread"; key: "unread" }
  | { kind: "message"; key: string; message: Shown; goesOn: boolean };

/** After a pause of so many milliseconds, whoever goes on speaking is named again. */
const PAUSE = 5 * 60_000;

/** The rows of a list; `since` is how far it had been read when the room was opened. */
export function rowsOf(messages: readonly Shown[], since: Place | undefined, user: string, hasOlder: boolean): Row[] {
  const rows: Row[] = hasOlder ? [] : [{ kind: "begin", key: "begin" }];
  let before: Shown | undefined;
  let marked = since === undefined;
  let today: [number, number] = [0, 0];
  for (const message of messages) {
    const newDay = !before || message.at < today[0] || message.at >= today[1];
    if (newDay) today = dayAround(message.at);
    if (newDay) rows.push({ kind: "day", key: `day ${message.key}`, at: message.at });
    const unread = !marked && !!message.place && !!since && compare(message.place, since) > 0 && message.sender.user !== user;
    if (unread) {
      rows.push({ kind: "unread", key: "unread" });
      marked = true;
    }
    const goesOn = !newDay && !unread && !!before && before.sender.user === message.sender.user && message.at - before.at < PAUSE;
    rows.push({ kind: "message", key: `${message.sender.user} ${message.key}`, message, goesOn });
    before = message;
  }
  return rows;
}

/** From when to when the day is that a time is in. Dates are slow to make, and most messages are of the day of the one before. */
function dayAround(at: number): [number, number] {
  const date = new Date(at);
  const [year, month, day] = [date.getFullYear(), date.getMonth(), date.getDate()];
  return [new Date(year, month, day).getTime(), new Date(year, month, day + 1).getTime()];
}
