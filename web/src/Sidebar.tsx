// The side: rooms, with what is unread in them, and what belongs to oneself.
import type { RoomRow } from "@confab/client";
import { useConfab, useConnection, useRoomView } from "@confab/react";
import { useEffect, useRef, useState } from "react";
import { Face } from "./Face";
import { Icon, IconButton, type IconName } from "./Icon";
import { titleOf } from "./useMyRooms";
import { notifies, setNotifies } from "./notify";
import { nameOf } from "./words";
import { setTheme, theme as keptTheme, type Theme } from "./session";

export interface SidebarProps {
  rooms: readonly string[];
  /** Those that the hub keeps us as a member of. */
  mine: ReadonlyMap<string, RoomRow>;
  current: string;
  /** On a narrow screen it lies over the conversation while it is open. */
  open: boolean;
  onClose: () => void;
  onGo: (room: string) => void;
  onFind: () => void;
  onShortcuts: () => void;
  onSignOut: () => void;
}

export function Sidebar({ rooms, mine, current, open, onClose, onGo, onFind, onShortcuts, onSignOut }: SidebarProps) {
  const narrow = useNarrow();
  const nav = useRef<HTMLElement>(null);
  useEffect(() => {
    if (narrow && open) nav.current?.querySelector<HTMLElement>("[aria-current]")?.focus();
  }, [narrow, open]);
  return (
    <>
      {narrow && open && <div className="scrim" onClick={onClose} />}
      <nav
        ref={nav}
        className={`sidebar ${open ? "open" : ""}`}
        aria-label="Rooms"
        inert={narrow && !open}
        onKeyDown={(event) => event.key === "Escape" && onClose()}
      >
        <div className="sidebar-head">
          <span className="brand">Confab</span>
          {narrow && <IconButton name="close" label="Close the list of rooms" onClick={onClose} />}
        </div>
        <button type="button" className="find" onClick={onFind}>
          <Icon name="search" size={16} />
          <span>Find or join a room</span>
          <kbd>{MODIFIER} K</kbd>
        </button>
        <h2 className="section">Rooms</h2>
        <ul className="rooms">
          {rooms.map((room) => <RoomItem key={room} room={room} row={mine.get(room)} current={room === current} onGo={onGo} />)}
        </ul>
        <Me onShortcuts={onShortcuts} onSignOut={onSignOut} />
      </nav>
    </>
  );
}

function RoomItem({ room, row, current, onGo }: { room: string; row?: RoomRow; current: boolean; onGo: (room: string) => void }) {
  const { unread, loaded } = useRoomView(room);
  const shown = !current && loaded && unread > 0;
  return (
    <li>
      <button type="button" className={`room ${shown ? "unread" : ""}`} aria-current={current ? "page" : undefined} onClick={() => onGo(room)}>
        <Icon name={row?.kind === "direct" ? "people" : "hash"} size={16} />
        <bdi className="room-name">{titleOf(room, row)}</bdi>
        {shown && (
          <span className="badge">
            {unread > 99 ? "99+" : unread}
            <span className="hidden"> unread</span>
          </span>
        )}
      </button>
    </li>
  );
}

const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const THEME_ICON: Record<Theme, IconName> = { system: "system", light: "sun", dark: "moon" };

function Me({ onShortcuts, onSignOut }: { onShortcuts: () => void; onSignOut: () => void }) {
  const { user, self } = useConfab();
  const { state } = useConnection();
  const [theme, set] = useState(keptTheme);
  const [notified, setNotified] = useState(notifies);
  const turn = () => {
    setTheme(NEXT[theme]);
    set(NEXT[theme]);
  };
  const there = state === "connected";
  return (
    <div className="me">
      <span className="me-face">
        <Face user={user} name={nameOf(self)} />
        <span className={`dot ${there ? "on" : ""}`} />
      </span>
      <span className="me-name">
        <bdi>{user ? nameOf(self) : "guest"}</bdi>
        <small>{there ? "Online" : "Not connected"}</small>
      </span>
      <IconButton
        name={notified ? "bell" : "bellOff"}
        label={notified ? "Notified when somebody calls you. Turn off" : "Notify me when somebody calls me"}
        aria-pressed={notified}
        onClick={() => void setNotifies(!notified).then(setNotified)}
      />
      <IconButton name={THEME_ICON[theme]} label={`Colours: ${theme}. Change to ${NEXT[theme]}`} onClick={turn} />
      <IconButton name="keyboard" label="Keyboard shortcuts" onClick={onShortcuts} />
      <IconButton name="power" label="Sign out" onClick={onSignOut} />
    </div>
  );
}

export const MODIFIER = /Mac|iP(hone|ad)/.test(navigator.platform) ? "⌘" : "Ctrl";

const NARROW = "(max-width: 760px)";

function useNarrow(): boolean {
  const [narrow, setNarrow] = useState(() => matchMedia(NARROW).matches);
  useEffect(() => {
    const query = matchMedia(NARROW);
    const changed = () => setNarrow(query.matches);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);
  return narrow;
}
