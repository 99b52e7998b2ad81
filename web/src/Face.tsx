// The face of somebody: the first letters of their name, on a colour that is always theirs.
import { hue, initials, isProgram } from "./words";

export function Face({ user, name, small }: { user: string; name: string; small?: boolean }) {
  const shape = isProgram(user) ? "program" : "";
  return <span className={`face hue-${hue(user)} ${shape} ${small ? "small" : ""}`} aria-hidden="true">{initials(name)}</span>;
}
