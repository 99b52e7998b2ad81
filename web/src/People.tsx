// Who is in the room: how many, and on a click their names.
import type { Sender } from "@confab/client";
import { useState } from "react";
import { Dialog } from "./Dialog";
import { Face } from "./Face";
import { Icon } from "./Icon";
import { count, nameOf } from "./words";

export function People({ users }: { users: readonly Sender[] }) {
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
            {users.map((one) => <li key={one.user}><Face user={one.user} name={nameOf(one)} small /><bdi>{nameOf(one)}</bdi></li>)}
          </ul>
        </Dialog>
      )}
    </>
  );
}
