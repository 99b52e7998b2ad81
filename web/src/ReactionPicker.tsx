// What one reacts with: the usual ones, found by a word, chosen by arrows.
import { useId, useState, type KeyboardEvent } from "react";
import { Dialog } from "./Dialog";
import { EMOJI } from "./emoji";

/** How many stand in a line. */
const COLUMNS = 8;

export function ReactionPicker({ onPick, onClose }: { onPick: (reaction: string) => void; onClose: () => void }) {
  const [word, setWord] = useState("");
  const [at, setAt] = useState(0);
  const id = useId();
  const found = EMOJI.filter(([, names]) => names.includes(word.trim().toLowerCase()));
  const chosen = Math.min(at, found.length - 1);
  const pressed = (event: KeyboardEvent) => {
    event.stopPropagation();
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: COLUMNS, ArrowUp: -COLUMNS }[event.key];
    if (step && found.length) {
      event.preventDefault();
      setAt(Math.min(found.length - 1, Math.max(0, chosen + step)));
    } else if (event.key === "Enter") {
      event.preventDefault();
      const picked = found[chosen];
      if (picked) onPick(picked[0]);
    }
  };
  return (
    <Dialog title="React" onClose={onClose} className="picker">
      <input
        data-first
        role="combobox"
        aria-label="Find a reaction"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={found.length ? `${id}-${chosen}` : undefined}
        placeholder="Find a reaction"
        value={word}
        onChange={(event) => { setWord(event.target.value); setAt(0); }}
        onKeyDown={pressed}
      />
      <div id={id} role="listbox" aria-label="Reactions" className="emoji-grid">
        {found.map(([emoji, names], i) => (
          <button key={emoji} id={`${id}-${i}`} type="button" role="option" tabIndex={-1} aria-selected={i === chosen} aria-label={names} title={names} className="emoji" onMouseMove={() => setAt(i)} onClick={() => onPick(emoji)}>
            {emoji}
          </button>
        ))}
      </div>
      {found.length === 0 && <p className="soft empty">None is called that.</p>}
    </Dialog>
  );
}
