// What can be done with the keyboard.
import { Dialog } from "./Dialog";
import { MODIFIER } from "./Sidebar";

const GROUPS: [string, [string[], string][]][] = [
  ["Everywhere", [
    [[MODIFIER, "K"], "Find or join a room"],
    [["Alt", "↑"], "Room above"],
    [["Alt", "↓"], "Room below"],
    [["?"], "This list"],
    [["Esc"], "Close, or back to the message box"],
  ]],
  ["In the message box", [
    [["Enter"], "Send"],
    [["Shift", "Enter"], "New line"],
    [["↑"], "Edit your last message, if the box is empty"],
    [["Shift", "Tab"], "To the messages"],
  ]],
  ["On a message", [
    [["↑", "↓"], "Message above, below"],
    [["Home", "End"], "Oldest shown, newest"],
    [["R"], "React"],
    [["E"], "Edit"],
    [["C"], "Copy its text"],
    [["Del"], "Delete"],
  ]],
];

export function Shortcuts({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose} className="shortcuts">
      <div className="shortcut-groups">
        {GROUPS.map(([title, rows]) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl>
              {rows.map(([keys, what]) => (
                <div key={what}>
                  <dt>{what}</dt>
                  <dd>{keys.map((key) => <kbd key={key}>{key}</kbd>)}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  );
}
