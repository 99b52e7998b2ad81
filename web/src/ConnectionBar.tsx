// Says how the connection is, when that matters, in one calm line over the messages.
import type { ConnectionView, RoomView } from "@confab/client";
import { useEffect, useState, type ReactNode } from "react";
import { Icon, type IconName } from "./Icon";
import { count } from "./words";

/** A loss that is mended sooner is not worth a word, in milliseconds. */
const CALM = 1200;

interface Said {
  icon: IconName;
  tone: "soft" | "warn" | "danger";
  text: ReactNode;
  dismiss?: () => void;
}

export function ConnectionBar({ connection, view, onSeen }: { connection: ConnectionView; view: RoomView; onSeen: () => void }) {
  const late = useLate(connection.state !== "connected");
  const said = sentence(connection, view, late, onSeen);
  return (
    <div className="connection" role="status">
      {said && (
        <div className={`notice ${said.tone}`}>
          <Icon name={said.icon} size={16} />
          <span>{said.text}</span>
          {said.dismiss && <button type="button" className="quiet small" onClick={said.dismiss}>Got it</button>}
        </div>
      )}
    </div>
  );
}

function sentence(connection: ConnectionView, view: RoomView, late: boolean, onSeen: () => void): Said | undefined {
  const waiting = connection.waiting > 0 ? ` ${count(connection.waiting, "message")} will be sent when you are back.` : "";
  if (view.status === "refused") return { icon: "alert", tone: "danger", text: `You cannot be in this room: ${view.reason ?? "the hub did not say why"}.` };
  if (connection.state === "closed") return { icon: "alert", tone: "danger", text: `The hub closed the connection: ${connection.reason ?? "it did not say why"}.` };
  if (connection.state !== "connected" && late) return { icon: "clock", tone: "warn", text: `${connection.state === "offline" ? "You are offline. Reconnecting …" : "Connecting …"}${waiting}` };
  if (view.trouble) return { icon: "clock", tone: "warn", text: `Older messages cannot be read just now (${view.trouble}). Trying again …` };
  if (view.readAnew) return { icon: "check", tone: "soft", text: "You were away for longer than the hub could replay, so the room was read anew. Scroll up for what you missed.", dismiss: onSeen };
  return undefined;
}

function useLate(lost: boolean): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    if (!lost) {
      setLate(false);
      return;
    }
    const timer = setTimeout(() => setLate(true), CALM);
    return () => clearTimeout(timer);
  }, [lost]);
  return late;
}
