// Where one writes: grows with the text, keeps a draft for each room, completes names, and sends with Enter.
import type { Room } from "@confab/client";
import { useEffect, useId, useState, type KeyboardEvent, type RefObject } from "react";
import { Face } from "./Face";
import { Icon } from "./Icon";
import { begun, mentionsIn, namesFor } from "./mentions";
import { draft, rememberDraft } from "./session";
import { nameOf } from "./words";

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
  const [caret, setCaret] = useState(0);
  const [at, setAt] = useState(0);
  const [closed, setClosed] = useState<string>();
  const id = useId();
  const word = begun(text, caret);
  const names = word !== undefined && word !== closed ? namesFor(word, room.people(), user) : [];
  const chosen = Math.min(at, names.length - 1);

  const complete = (name: string) => {
    const before = text.slice(0, caret - (word?.length ?? 0));
    const done = `${before}${name} `;
    setText(done + text.slice(caret));
    setCaret(done.length);
    requestAnimationFrame(() => {
      box.current?.focus();
      box.current?.setSelectionRange(done.length, done.length);
    });
  };

  const send = () => {
    if (!text.trim() || disabled || tooLong) return;
    const mentions = mentionsIn(text, room.people());
    room.send({ text: text.trim(), format: "markdown", ...(mentions.length ? { mentions } : {}) });
    room.markRead();
    setText("");
    box.current?.focus();
  };
  const pressed = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    if (event.nativeEvent.isComposing) return; // an input method has the keys
    const name = names[chosen];
    if (name && !event.shiftKey) {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) setAt((chosen + step + names.length) % names.length);
      else if (event.key === "Enter" || event.key === "Tab") complete(name.user);
      else if (event.key === "Escape") setClosed(word);
      if (step || ["Enter", "Tab", "Escape"].includes(event.key)) {
        event.preventDefault();
        return;
      }
    }
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
      {names.length > 0 && (
        <ul id={id} role="listbox" aria-label="People" className="names">
          {names.map((one, i) => (
            <li key={one.user} id={`${id}-${i}`} role="option" aria-selected={i === chosen} onMouseMove={() => setAt(i)} onMouseDown={(event) => { event.preventDefault(); complete(one.user); }}>
              <Face user={one.user} name={nameOf(one)} small />
              <bdi>{nameOf(one)}</bdi>
              {nameOf(one) !== one.user && <bdi className="soft">@{one.user}</bdi>}
            </li>
          ))}
        </ul>
      )}
      <textarea
        id="composer"
        ref={box}
        dir="auto"
        rows={1}
        aria-label={`Message to ${name}`}
        placeholder={disabled ? "You cannot speak here" : `Message #${name}`}
        value={text}
        disabled={disabled}
        aria-autocomplete="list"
        aria-controls={names.length ? id : undefined}
        aria-activedescendant={names.length ? `${id}-${chosen}` : undefined}
        onSelect={(event) => setCaret(event.currentTarget.selectionStart)}
        onChange={(event) => {
          setText(event.target.value);
          setCaret(event.target.selectionStart);
          setAt(0);
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
