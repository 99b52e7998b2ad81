// Where one writes: grows with the text, keeps a draft for each room, and sends with Enter.
import type { Room } from "@confab/client";
import { useEffect, useState, type KeyboardEvent, type RefObject } from "react";
import { Icon } from "./Icon";
import { draft, rememberDraft } from "./session";

export interface ComposerProps {
  room: Room;
  name: string;
  user: string;
  /** What it begins with, instead of the draft. */
  seed?: string;
  disabled: boolean;
  box: RefObject<HTMLTextAreaElement | null>;
  onEditLast: () => void;
}

/** The longest text, in characters: what is longer, a hub refuses. */
export const TEXT_MAX = 30_000;

export function Composer({ room, name, user, seed, disabled, box, onEditLast }: ComposerProps) {
  const [text, setText] = useState(() => seed ?? draft(user, name));
  useEffect(() => rememberDraft(user, name, text), [user, name, text]);
  useEffect(() => {
    if (seed === undefined || !box.current) return;
    box.current.focus();
    box.current.setSelectionRange(seed.length, seed.length);
  }, [seed, box]);
  const tooLong = text.length > TEXT_MAX;

  const send = () => {
    if (!text.trim() || disabled || tooLong) return;
    room.send({ text: text.trim(), format: "markdown" });
    room.markRead();
    setText("");
    box.current?.focus();
  };
  const pressed = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    if (event.nativeEvent.isComposing) return; // an input method has the keys
    if (event.key === "Enter" && !event.shiftKey && !event.ctrlKey && !event.altKey) {
      event.preventDefault();
      send();
    } else if (event.key === "ArrowUp" && text === "") {
      event.preventDefault();
      onEditLast();
    }
  };
  return (
    <form className={`composer ${tooLong ? "wrong" : ""}`} onSubmit={(event) => { event.preventDefault(); send(); }}>
      <textarea
        id="composer"
        ref={box}
        dir="auto"
        rows={1}
        aria-label={`Message to ${name}`}
        placeholder={disabled ? "You cannot speak here" : `Message #${name}`}
        value={text}
        disabled={disabled}
        onChange={(event) => {
          setText(event.target.value);
          if (event.target.value) room.type();
        }}
        onKeyDown={pressed}
      />
      {tooLong && <span className="count">{(text.length - TEXT_MAX).toLocaleString()} characters too long</span>}
      <button type="submit" className="send" aria-label="Send" title="Send" disabled={!text.trim() || disabled || tooLong}>
        <Icon name="send" />
      </button>
    </form>
  );
}
