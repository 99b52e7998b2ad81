// The quick switcher: a few letters, and one is in another room.
import type { RoomRow } from "@confab/client";
import { useId, useMemo, useState, type KeyboardEvent } from "react";
import { Dialog } from "./Dialog";
import { Icon } from "./Icon";
import { titleOf } from "./useMyRooms";

/** The longest name of a room, in bytes. */
const NAME_BYTES_MAX = 255;

export function Switcher({ rooms, mine, onGo, onClose }: { rooms: readonly string[]; mine: ReadonlyMap<string, RoomRow>; onGo: (room: string) => void; onClose: () => void }) {
  const [words, setWords] = useState("");
  const [at, setAt] = useState(0);
  const id = useId();
  const name = words.trim().replace(/^#/, "");
  const possible = name.length > 0 && new TextEncoder().encode(name).length <= NAME_BYTES_MAX && !/[\p{Cc}]/u.test(name);
  const choices = useMemo(() => {
    const found = rooms.filter((room) => fits(`${room} ${titleOf(room, mine.get(room))}`, name)).map((room) => ({ room, joins: false }));
    return possible && !rooms.includes(name) ? [...found, { room: name, joins: true }] : found;
  }, [rooms, mine, name, possible]);
  const chosen = Math.min(at, choices.length - 1);

  const pressed = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && choices.length) {
      event.preventDefault();
      setAt((chosen + step + choices.length) % choices.length);
    } else if (event.key === "Enter" && choices[chosen]) {
      event.preventDefault();
      onGo(choices[chosen].room);
    }
  };
  return (
    <Dialog title="Find or join a room" onClose={onClose} className="switcher">
      <input
        data-first
        role="combobox"
        aria-label="Room"
        aria-expanded="true"
        aria-controls={`${id}-list`}
        aria-activedescendant={choices.length ? `${id}-${chosen}` : undefined}
        placeholder="Type the name of a room"
        autoComplete="off"
        spellCheck={false}
        value={words}
        onChange={(event) => { setWords(event.target.value); setAt(0); }}
        onKeyDown={pressed}
      />
      <ul id={`${id}-list`} role="listbox" aria-label="Rooms">
        {choices.map(({ room, joins }, i) => (
          <li
            key={room}
            id={`${id}-${i}`}
            role="option"
            aria-selected={i === chosen}
            onMouseMove={() => setAt(i)}
            onClick={() => onGo(room)}
          >
            <Icon name={joins ? "plus" : "hash"} size={16} />
            <span>{joins && "Join "}<bdi>{titleOf(room, mine.get(room))}</bdi></span>
            {i === chosen && <kbd>Enter</kbd>}
          </li>
        ))}
        {choices.length === 0 && <li className="none" role="option" aria-selected="false" aria-disabled="true">{name ? "No room can be called that." : "You are in no room yet."}</li>}
      </ul>
    </Dialog>
  );
}

/** Whether the letters stand in the name in this order. */
function fits(room: string, letters: string): boolean {
  let at = 0;
  const name = room.toLowerCase();
  for (const letter of letters.toLowerCase()) {
    at = name.indexOf(letter, at) + 1;
    if (at === 0) return false;
  }
  return true;
}
