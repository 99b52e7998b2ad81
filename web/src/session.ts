// The session: who one is, and what this browser remembers.

/** How somebody has signed in: by a token, or, in development, by a name. */
export interface SignedIn {
  readonly token?: string;
  readonly user?: string;
}

/** Whether the hub believes whoever says who they are; the hub writes it into the page. */
export const BY_NAME = document.documentElement.dataset.signin === "name" || import.meta.env.DEV;

/** Where the hub is: beside the page, wherever a proxy has put it. */
export const HUB = new URL("connection/websocket", location.href.split(/[?#]/)[0]).href.replace(/^http/, "ws");

const SIGNED_IN = "confab.signed-in";

/** Who is signed in in this tab; a token in the fragment, or a name in the query, signs in at once. */
export function signedIn(): SignedIn | undefined {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const query = new URLSearchParams(location.search);
  const token = fragment.get("token") ?? undefined;
  const user = (BY_NAME && query.get("user")) || undefined;
  if (token) {
    fragment.delete("token"); // it must not stay where it is copied from, or in the history
    history.replaceState(null, "", `${location.pathname}${location.search}#${fragment}`);
  }
  if (token || user) {
    remember(token ? { token } : { user });
    return token ? { token } : { user };
  }
  return read<SignedIn>(sessionStorage, SIGNED_IN);
}

/** Remembers who is signed in, in this tab alone; nobody, without one. */
export function remember(who: SignedIn | undefined): void {
  if (who) write(sessionStorage, SIGNED_IN, who);
  else sessionStorage.removeItem(SIGNED_IN);
}

/** The roles that a token gives, for what is offered. What may be done is the hub's to say. */
export function rolesOf(who: SignedIn): string[] {
  try {
    const claims = who.token?.split(".")[1]?.replace(/-/g, "+").replace(/_/g, "/");
    const { roles } = JSON.parse(atob(claims ?? "")) as { roles?: unknown };
    return Array.isArray(roles) ? roles.filter((role) => typeof role === "string") : [];
  } catch {
    return [];
  }
}

/** The room that the address names. */
export function roomOfAddress(): string | undefined {
  const fragment = new URLSearchParams(location.hash.slice(1));
  return fragment.get("room") ?? new URLSearchParams(location.search).get("room") ?? undefined;
}

/** Makes the address name a room, so that it can be shared, and "back" goes to the one before. */
export function showRoom(room: string): void {
  const hash = `#${new URLSearchParams({ room })}`;
  if (location.hash !== hash) history.pushState(null, "", `${location.pathname}${location.search}${hash}`);
}

/** The rooms that somebody has joined in this browser. */
export function joinedRooms(user: string): string[] {
  return read<string[]>(localStorage, `confab.rooms.${user}`) ?? ["lobby"];
}

export function rememberRooms(user: string, rooms: readonly string[]): void {
  write(localStorage, `confab.rooms.${user}`, rooms);
}

/** What was typed in a room and not sent. */
export function draft(user: string, room: string): string {
  return read<string>(localStorage, `confab.draft.${user}.${room}`) ?? "";
}

export function rememberDraft(user: string, room: string, text: string): void {
  if (text) write(localStorage, `confab.draft.${user}.${room}`, text);
  else localStorage.removeItem(`confab.draft.${user}.${room}`);
}

export type Theme = "system" | "light" | "dark";

export function theme(): Theme {
  return read<Theme>(localStorage, "confab.theme") ?? "system";
}

export function setTheme(theme: Theme): void {
  write(localStorage, "confab.theme", theme);
  showTheme(theme);
}

export function showTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function read<T>(storage: Storage, name: string): T | undefined {
  try {
    return (JSON.parse(storage.getItem(name) ?? "null") as T | null) ?? undefined;
  } catch {
    return undefined; // not ours, or of another version
  }
}

function write(storage: Storage, name: string, value: unknown): void {
  try {
    storage.setItem(name, JSON.stringify(value));
  } catch {
    // A full or forbidden storage: it is only not remembered.
  }
}
