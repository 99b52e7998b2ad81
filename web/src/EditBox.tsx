// Where a message that was said is changed.
import type { Room, Shown } from "@confab/client";
import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { TEXT_MAX } from "./Composer";
import { textOf } from "./words";

export function EditBox({ message, room, onDone }: { message: Shown; room: Room; onDone: () => void }) {
  const before = textOf(message.body) ?? "";
  const [text, setText] = useState(before);
  const box = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    box.current?.focus();
    box.current?.setSelectionRange(before.length, before.length);
  }, [before.length]);
  const possible = text.trim() !== "" && text.length <= TEXT_MAX;
  const save = () => {
    if (!possible) return;
    if (message.id && text.trim() !== before) void room.edit(message.id, { text: text.trim(), format: "markdown" });
    onDone();
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    event.stopPropagation();
    if (event.key === "Escape") onDone();
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      save();
    }
  };
  return (
    <div className="edit-box">
      <textarea ref={box} dir="auto" rows={1} aria-label="Edit the message" value={text} onChange={(event) => setText(event.target.value)} onKeyDown={pressed} />
      <p className="buttons">
        <button type="button" className="primary small" disabled={!possible} onClick={save}>Save</button>
        <button type="button" className="small" onClick={onDone}>Cancel</button>
        <span className="soft hint">Enter saves, Escape cancels</span>
      </p>
    </div>
  );
}
