// The chat: rooms at the side, one of them in the middle, and what is in reach everywhere.
import { useConfab, useRoom } from "@confab/react";
import { useCallback, useEffect, useRef, useState } from "react";
import { Conversation } from "./Conversation";
import { calls } from "./mentions";
import { notify } from "./notify";
import { joinedRooms, rememberRooms, roomOfAddress, showRoom } from "./session";
import { Shortcuts } from "./Shortcuts";
import { Sidebar } from "./Sidebar";
import { Switcher } from "./Switcher";
import { titleOf, useMyRooms } from "./useMyRooms";

/** The most rooms that are kept open at once, for their unread messages; a hub lets a session be in more. */
const OPEN_MAX = 60;

export function Chat({ roles, onSignOut }: { roles: readonly string[]; onSignOut: () => void }) {
  const { user } = useConfab();
  const [rooms, setRooms] = useState(() => withRoom(joinedRooms(user), roomOfAddress()));
  const [current, setCurrent] = useState(() => roomOfAddress() ?? rooms[0] ?? "lobby");
  const mine = useMyRooms();
  useEffect(() => {
    if (mine.size > 0) setRooms((before) => [...before, ...[...mine.keys()].filter((room) => !before.includes(room))]);
  }, [mine]);
  const [dialog, setDialog] = useState<"switcher" | "shortcuts">();
  const [drawer, setDrawer] = useState(false);

  useEffect(() => rememberRooms(user, rooms), [user, rooms]);

  const go = useCallback((room: string) => {
    setRooms((before) => withRoom(before, room));
    setCurrent(room);
    setDrawer(false);
    setDialog(undefined);
    showRoom(room);
  }, []);

  const leave = useCallback((room: string) => {
    const left = rooms.filter((one) => one !== room);
    setRooms(left);
    if (room === current) go(left[0] ?? "lobby");
  }, [rooms, current, go]);

  useEffect(() => {
    const moved = () => {
      const room = roomOfAddress();
      if (room) go(room);
    };
    window.addEventListener("popstate", moved);
    return () => window.removeEventListener("popstate", moved);
  }, [go]);

  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea");
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setDialog("switcher");
      } else if (event.key === "?" && !typing) {
        event.preventDefault();
        setDialog("shortcuts");
      } else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
        event.preventDefault();
        const at = rooms.indexOf(current) + (event.key === "ArrowUp" ? -1 : 1);
        const room = rooms[(at + rooms.length) % rooms.length];
        if (room) go(room);
      }
    };
    window.addEventListener("keydown", pressed);
    return () => window.removeEventListener("keydown", pressed);
  }, [rooms, current, go]);

  return (
    <div className="app">
      <a className="skip" href="#composer" onClick={(event) => { event.preventDefault(); document.getElementById("composer")?.focus(); }}>Skip to the message box</a>
      {rooms.slice(0, OPEN_MAX).map((room) => <KeptOpen key={room} room={room} current={room === current} onGo={go} />)}
      <Sidebar
        rooms={rooms}
        mine={mine}
        current={current}
        open={drawer}
        onClose={() => setDrawer(false)}
        onGo={go}
        onFind={() => setDialog("switcher")}
        onShortcuts={() => setDialog("shortcuts")}
        onSignOut={onSignOut}
      />
      <Conversation key={current} room={current} title={titleOf(current, mine.get(current))} roles={roles} onMenu={() => setDrawer(true)} onLeave={() => leave(current)} canLeave={rooms.length > 1 && !mine.has(current)} />
      {dialog === "switcher" && <Switcher rooms={rooms} mine={mine} onGo={go} onClose={() => setDialog(undefined)} />}
      {dialog === "shortcuts" && <Shortcuts onClose={() => setDialog(undefined)} />}
    </div>
  );
}

/** Keeps a room open while another one is looked at, so that it is there at once, its unread messages are known, and whoever calls us
 *  there is heard. */
function KeptOpen({ room, current, onGo }: { room: string; current: boolean; onGo: (room: string) => void }) {
  const [{ messages, loaded }] = useRoom(room, { background: true });
  const { user } = useConfab();
  const last = messages.findLast((one) => one.id !== undefined);
  const before = useRef<string>(undefined);
  useEffect(() => {
    if (!loaded || last?.id === before.current) return;
    const first = before.current === undefined;
    before.current = last?.id ?? "none";
    const looks = current && document.hasFocus() && document.visibilityState === "visible";
    if (!first && last && !looks && last.sender.user !== user && calls(last, user)) notify(room, last, () => onGo(room));
  }, [loaded, last, current, user, room, onGo]);
  return null;
}

function withRoom(rooms: readonly string[], room: string | undefined): string[] {
  return room && !rooms.includes(room) ? [...rooms, room] : [...rooms];
}
