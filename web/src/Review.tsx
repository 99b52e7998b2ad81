// What moderators do with held messages: look at them, publish them, or see to it that they never are.
import { Refused, type Held } from "@confab/client";
import { useConfab } from "@confab/react";
import { useCallback, useEffect, useState } from "react";
import { Dialog } from "./Dialog";
import { Face } from "./Face";
import { nameOf, textOf, dateTime } from "./words";

/** How often it is looked for more, in milliseconds. */
const EVERY = 5000;

export function Review({ onClose }: { onClose: () => void }) {
  const confab = useConfab();
  const [held, setHeld] = useState<readonly Held[]>();
  const [problem, setProblem] = useState<string>();

  const look = useCallback(async () => {
    try {
      setHeld((await confab.call("review", { op: "list" })).held ?? []);
      setProblem(undefined);
    } catch (error) {
      setProblem(Refused.from(error).message);
    }
  }, [confab]);

  useEffect(() => {
    void look();
    const timer = setInterval(() => void look(), EVERY);
    return () => clearInterval(timer);
  }, [look]);

  const decide = async (id: string, op: "approve" | "deny") => {
    setHeld((before) => before?.filter((one) => one.id !== id));
    try {
      await confab.call("review", { op, id });
    } catch (error) {
      setProblem(Refused.from(error).message);
    }
    await look();
  };

  return (
    <Dialog title="Held messages" onClose={onClose} className="review">
      {problem && <p className="problem" role="alert">{problem}</p>}
      {held?.length === 0 && <p className="soft empty">Nothing waits for you.</p>}
      <ul>
        {held?.map(({ id, event, plugin, reason }) => (
          <li key={id}>
            <Face user={event.sender.user} name={nameOf(event.sender)} small />
            <div>
              <p><strong><bdi>{nameOf(event.sender)}</bdi></strong> <span className="soft">in <bdi>{event.room}</bdi>, {dateTime(event.at)}</span></p>
              <p className="said" dir="auto">{textOf(event.body) ?? JSON.stringify(event.body)}</p>
              <p className="soft">Held by {plugin}{reason && `: ${reason}`}</p>
              <p className="buttons">
                <button type="button" className="primary small" onClick={() => void decide(id, "approve")}>Publish</button>
                <button type="button" className="small" onClick={() => void decide(id, "deny")}>Decline</button>
              </p>
            </div>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
