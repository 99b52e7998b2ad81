// The messages of a room: only those in sight are in the page, the place is kept while older ones come, and whoever is at the end
// stays there.
import type { Room, RoomView, Shown } from "@confab/client";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { Icon } from "./Icon";
import { MessageRow } from "./MessageRow";
import { rowsOf, type Row } from "./rows";
import { count, day } from "./words";

export interface MessageListProps {
  view: RoomView;
  room: Room;
  user: string;
  editing?: string;
  onEdit: (id: string | undefined) => void;
  onRewrite: (message: Shown) => void;
  onBack: () => void;
}

/** How near the end counts as being there, in pixels. */
const NEAR = 60;
/** How near the beginning older messages are read, in pixels. */
const EARLY = 600;

export function MessageList({ view, room, user, editing, onEdit, onRewrite, onBack }: MessageListProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const since = useSince(view);
  const rows = useMemo(() => rowsOf(view.messages, since, user, view.hasOlder || !view.loaded), [view.messages, since, user, view.hasOlder, view.loaded]);
  const [focused, setFocused] = useState<string>();
  const [atEnd, setAtEnd] = useState(true);
  const [opened, setOpened] = useState(false);
  const [visited, setVisited] = useState(false);

  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => estimate(rows[index]),
    getItemKey: (index) => rows[index]?.key ?? index,
    anchorTo: "end",
    followOnAppend: true,
    scrollEndThreshold: NEAR,
    overscan: 8,
    paddingStart: 16,
    paddingEnd: 12,
  });

  const looked = useCallback(() => {
    const box = scroller.current;
    if (!box) return;
    setAtEnd(box.scrollHeight - box.scrollTop - box.clientHeight < NEAR);
    if (box.scrollTop < EARLY) void room.older();
  }, [room]);

  // The first page is looked at from its end; one that does not fill the screen asks for the page before it.
  const started = view.loaded && rows.length > 0;
  useEffect(() => {
    if (!started) return;
    list.scrollToEnd();
    looked();
    const frame = requestAnimationFrame(() => setOpened(true));
    return () => cancelAnimationFrame(frame);
  }, [started, list, looked]);
  useEffect(() => {
    if (view.loaded && !view.loadingOlder) looked();
  }, [view.loaded, view.loadingOlder, rows.length, looked]);

  // What is at the end of what somebody looks at has been read.
  useEffect(() => {
    if (!atEnd || !view.loaded) return;
    const read = () => {
      if (document.visibilityState === "visible" && document.hasFocus()) room.markRead();
    };
    read();
    room.trim();
    window.addEventListener("focus", read);
    return () => window.removeEventListener("focus", read);
  }, [atEnd, view.loaded, view.messages, room]);

  // One's own message is always in sight.
  const last = view.messages.at(-1);
  const mine = last && last.sender.user === user ? last.key : undefined;
  useEffect(() => {
    if (mine) list.scrollToEnd();
  }, [mine, list]);

  const focusRow = (index: number) => {
    const row = rows[index];
    if (row?.kind !== "message") return;
    setFocused(row.key);
    list.scrollToIndex(index, { align: "auto" });
    requestAnimationFrame(() => scroller.current?.querySelector<HTMLElement>(`[data-index="${index}"] article`)?.focus());
  };
  const pressed = (event: KeyboardEvent<HTMLDivElement>) => {
    if (event.target instanceof HTMLTextAreaElement) return;
    if (event.key === "Escape") onBack();
    const at = rows.findIndex((row) => row.key === focused);
    const to = aim(event.key, at, rows);
    if (to === undefined) return;
    event.preventDefault();
    focusRow(to);
  };
  const tabbed = focused && rows.some(({ key }) => key === focused) ? focused : rows.findLast((row) => row.kind === "message")?.key;

  const firstNew = rows.findIndex(({ kind }) => kind === "unread");
  const above = firstNew >= 0 && !visited && (list.range?.startIndex ?? 0) > firstNew;
  useEffect(() => {
    if (opened && firstNew >= 0 && !above && (list.range?.startIndex ?? 0) <= firstNew) setVisited(true);
  }, [opened, firstNew, above, list.range?.startIndex]);

  return (
    <div className="list-frame">
      <div
        ref={scroller}
        className="list"
        role="log"
        aria-live="off"
        aria-label={`Messages in ${view.name}`}
        aria-busy={!view.loaded}
        tabIndex={rows.length ? -1 : 0}
        onScroll={looked}
        onKeyDown={pressed}
      >
        {!view.loaded && view.messages.length === 0 && <Skeleton />}
        {view.loaded && view.messages.length === 0 && <Empty name={view.name} />}
        {rows.length > 0 && view.messages.length > 0 && (
          <div className="rows" style={{ height: list.getTotalSize() }}>
            {list.getVirtualItems().map(({ index, key, start }) => {
              const row = rows[index];
              return row && (
                <div key={key} ref={list.measureElement} data-index={index} className="row" style={{ transform: `translateY(${start}px)` }}>
                  <RowView
                    row={row}
                    name={view.name}
                    room={room}
                    user={user}
                    tabbed={row.key === tabbed}
                    editing={row.kind === "message" && !!row.message.id && row.message.id === editing}
                    onFocus={setFocused}
                    onEdit={onEdit}
                    onRewrite={onRewrite}
                    onBack={onBack}
                  />
                </div>
              );
            })}
          </div>
        )}
      </div>
      <div className={`older ${view.loadingOlder ? "on" : ""}`} aria-hidden={!view.loadingOlder}>Reading older messages …</div>
      {above && (
        <button type="button" className="jump up" onClick={() => list.scrollToIndex(firstNew, { align: "start" })}>
          <Icon name="up" size={16} />
          Jump to what is new
        </button>
      )}
      {!atEnd && view.messages.length > 0 && (
        <button type="button" className="jump" onClick={() => list.scrollToEnd()}>
          <Icon name="down" size={16} />
          {view.unread > 0 ? count(view.unread, "new message") : "Jump to the newest"}
        </button>
      )}
    </div>
  );
}

/** How far the room had been read when it was opened: the line stays there until one leaves. */
function useSince(view: RoomView) {
  const since = useRef<RoomView["readUpTo"]>(undefined);
  const fixed = useRef(false);
  if (!fixed.current && view.loaded) {
    fixed.current = true;
    since.current = view.unread > 0 ? view.readUpTo : undefined;
  }
  return since.current;
}

/** Which row a key leads to. */
function aim(key: string, at: number, rows: readonly Row[]): number | undefined {
  const isMessage = (row: Row) => row.kind === "message";
  const from = at < 0 ? rows.length : at;
  switch (key) {
    case "ArrowUp":
      return found(rows.slice(0, from).findLastIndex(isMessage));
    case "ArrowDown": {
      const next = rows.slice(from + 1).findIndex(isMessage);
      return next < 0 ? undefined : from + 1 + next;
    }
    case "Home":
      return found(rows.findIndex(isMessage));
    case "End":
      return found(rows.findLastIndex(isMessage));
  }
  return undefined;
}

const found = (index: number): number | undefined => (index < 0 ? undefined : index);

/** About how high a row is, in pixels, before it is seen. */
function estimate(row: Row | undefined): number {
  if (row?.kind === "message") return row.goesOn ? 30 : 58;
  return row?.kind === "begin" ? 120 : 40;
}

interface RowViewProps {
  row: Row;
  name: string;
  room: Room;
  user: string;
  tabbed: boolean;
  editing: boolean;
  onFocus: (key: string) => void;
  onEdit: (id: string | undefined) => void;
  onRewrite: (message: Shown) => void;
  onBack: () => void;
}

function RowView({ row, name, room, user, tabbed, editing, onFocus, onEdit, onRewrite, onBack }: RowViewProps) {
  switch (row.kind) {
    case "begin":
      return <Begin name={name} />;
    case "day":
      return <div className="divider"><span>{day(row.at)}</span></div>;
    case "unread":
      return <div className="divider new"><span>New</span></div>;
    case "message":
      return (
        <MessageRow
          message={row.message}
          goesOn={row.goesOn}
          room={room}
          user={user}
          tabbed={tabbed}
          editing={editing}
          rowKey={row.key}
          onFocus={onFocus}
          onEdit={onEdit}
          onRewrite={onRewrite}
          onBack={onBack}
        />
      );
  }
}

function Begin({ name }: { name: string }) {
  return (
    <div className="begin">
      <span className="begin-icon"><Icon name="hash" size={24} /></span>
      <h2><bdi>{name}</bdi></h2>
      <p className="soft">This is where the room begins.</p>
    </div>
  );
}

function Empty({ name }: { name: string }) {
  return (
    <div className="empty-room">
      <span className="begin-icon"><Icon name="hash" size={24} /></span>
      <h2>Nothing was said in <bdi>{name}</bdi> yet</h2>
      <p className="soft">Be the first: whoever is here hears it at once, and whoever comes later reads it.</p>
    </div>
  );
}

/** The shape of messages, while the first page is being read. */
function Skeleton() {
  return (
    <div className="skeleton" aria-hidden="true">
      {[62, 84, 48, 71, 90, 55].map((width) => (
        <div key={width}><i className="bone face-bone" /><span><i className="bone name-bone" /><i className="bone" style={{ width: `${width}%` }} /></span></div>
      ))}
    </div>
  );
}
