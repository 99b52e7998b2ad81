// Who is in the room: how many, and on a click their names.
import { useState } from "react";
import { Dialog } from "./Dialog";
import { Face } from "./Face";
import { Icon } from "./Icon";
import { count } from "./words";

export function People({ users }: { users: readonly string[] }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" className="quiet people" onClick={() => setOpen(true)} aria-label={`${count(users.length, "person", "people")} here. Show who`}>
        <Icon name="people" />
        {users.length}
      </button>
      {open && (
        <Dialog title="Here now" onClose={() => setOpen(false)}>
          <ul className="people-list">
            {users.map((user) => <li key={user}><Face user={user} name={user} small /><bdi>{user}</bdi></li>)}
          </ul>
        </Dialog>
      )}
    </>
  );
}
