// A conversation: what a room is, what was said in it, and where one says something oneself.
import { useConfab, useConnection, useRoom } from "@confab/react";
import type { Shown } from "@confab/client";
import { useCallback, useEffect, useRef, useState } from "react";
import { Composer } from "./Composer";
import { ConnectionBar } from "./ConnectionBar";
import { IconButton } from "./Icon";
import { MessageList } from "./MessageList";
import { People } from "./People";
import { Review } from "./Review";
import { nameOf, spoken, textOf, typingSentence } from "./words";

export interface ConversationProps {
  room: string;
  /** What it is called. */
  title: string;
  roles: readonly string[];
  canLeave: boolean;
  onMenu: () => void;
  onLeave: () => void;
}

export function Conversation({ room: name, title, roles, canLeave, onMenu, onLeave }: ConversationProps) {
  const [view, room] = useRoom(name);
  const { user } = useConfab();
  const connection = useConnection();
  const [editing, setEditing] = useState<string>();
  const [reviewing, setReviewing] = useState(false);
  const [seeded, setSeeded] = useState<{ text: string; n: number }>();
  const composer = useRef<HTMLTextAreaElement>(null);

  const focusComposer = useCallback(() => composer.current?.focus(), []);
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) focusComposer();
  }, [focusComposer]);

  useEffect(() => {
    document.title = `${view.unread > 0 && !document.hasFocus() ? `(${view.unread}) ` : ""}#${name} · Confab`;
  }, [view.unread, name]);

  /** A refused message goes back to where it can be changed. */
  const rewrite = useCallback((message: Shown) => {
    room.discard(message.key);
    setSeeded((before) => ({ text: textOf(message.body) ?? "", n: (before?.n ?? 0) + 1 }));
    focusComposer();
  }, [room, focusComposer]);

  const editLast = useCallback(() => {
    const last = view.messages.findLast((one) => one.id && one.sender.user === user && !one.deleted && textOf(one.body) !== undefined);
    if (last?.id) setEditing(last.id);
  }, [view.messages, user]);

  const may = view.status !== "refused";
  return (
    <main className="conversation">
      <header className="bar">
        <IconButton name="menu" label="Rooms" className="only-narrow" onClick={onMenu} />
        <h1><span className="hash" aria-hidden="true">#</span><bdi>{title}</bdi></h1>
        {view.present && <People users={view.present.map((one) => room.sender(one))} />}
        {roles.includes("moderator") && <IconButton name="shield" label="Held messages" onClick={() => setReviewing(true)} />}
        {canLeave && <IconButton name="leave" label={`Leave ${name}`} onClick={onLeave} />}
      </header>
      <ConnectionBar connection={connection} view={view} onSeen={() => room.acknowledge()} />
      <MessageList view={view} room={room} user={user} editing={editing} onEdit={setEditing} onRewrite={rewrite} onBack={focusComposer} />
      <Announcer messages={view.messages} user={user} />
      <div className="foot">
        <div className="typing" role="status">
          {view.typing.length > 0 && <><span className="typing-dots" aria-hidden="true"><i /><i /><i /></span><bdi>{typingSentence(view.typing.map((one) => nameOf(room.sender(one))))}</bdi></>}
        </div>
        <Composer key={seeded?.n} room={room} name={name} user={user} seed={seeded?.text} disabled={!may} box={composer} onEditLast={editLast} />
      </div>
      {reviewing && <Review onClose={() => setReviewing(false)} />}
    </main>
  );
}

/** Reads new messages out, apart from the list: of that, rows come and go while one scrolls. */
function Announcer({ messages, user }: { messages: readonly Shown[]; user: string }) {
  const [said, setSaid] = useState("");
  const last = messages.findLast((one) => one.id !== undefined);
  const before = useRef(last?.id);
  useEffect(() => {
    if (!last || last.id === before.current) return;
    const first = before.current === undefined;
    before.current = last.id;
    if (!first && last.sender.user !== user) setSaid(`${nameOf(last.sender)}: ${spoken(last).slice(0, 500)}`);
  }, [last, user]);
  return <div className="hidden" aria-live="polite">{said}</div>;
}
