// Notifications: somebody calls us while we look elsewhere.
import type { Shown } from "@confab/client";
import { nameOf, textOf } from "./words";

const WANTED = "confab.notify";
/** How much of a message is shown, in characters. */
const SHOWN_MAX = 200;

/** Whether this browser can notify, and whether it was asked to. */
export function notifies(): boolean {
  return "Notification" in window && Notification.permission === "granted" && localStorage.getItem(WANTED) === "yes";
}

/** Turns it on, which asks the browser's user, or off; says how it is then. */
export async function setNotifies(wanted: boolean): Promise<boolean> {
  if (wanted && "Notification" in window && Notification.permission !== "granted") await Notification.requestPermission();
  localStorage.setItem(WANTED, wanted ? "yes" : "no");
  return notifies();
}

/** Notifies, if that is wanted, of a message that calls us. */
export function notify(room: string, message: Shown, go: () => void): void {
  if (!notifies()) return;
  const shown = new Notification(`${nameOf(message.sender)} in #${room}`, { body: (textOf(message.body) ?? "").slice(0, SHOWN_MAX), tag: message.id });
  shown.onclick = () => {
    window.focus();
    go();
    shown.close();
  };
}
