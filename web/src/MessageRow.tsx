// One message: who, what, when, what became of it, and what can be done with it.
import type { Room, Shown } from "@confab/client";
import { memo, useState, type KeyboardEvent } from "react";
import { EditBox } from "./EditBox";
import { Dialog } from "./Dialog";
import { Face } from "./Face";
import { Icon, IconButton } from "./Icon";
import { Text } from "./Markdown";
import { calls } from "./mentions";
import { Preview, previewsOf } from "./Preview";
import { ReactionPicker } from "./ReactionPicker";
import { isMarkdown, isProgram, nameOf, shortTime, spoken, textOf, time, wholeTime } from "./words";

export interface MessageRowProps {
  message: Shown;
  /** Whether its author has just said the message before it. */
  goesOn: boolean;
  room: Room;
  user: string;
  /** Whether the tab key comes here. */
  tabbed: boolean;
  editing: boolean;
  /** What its row is called in the list. */
  rowKey: string;
  onFocus: (rowKey: string) => void;
  onEdit: (id: string | undefined) => void;
  onRewrite: (message: Shown) => void;
  onBack: () => void;
}

export const MessageRow = memo(function MessageRow(props: MessageRowProps) {
  const { message, goesOn, room, user, tabbed, editing, onFocus, onEdit } = props;
  const [picking, setPicking] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const name = nameOf(message.sender);
  const mine = message.sender.user === user;
  const text = textOf(message.body);
  const id = message.deleted ? undefined : message.id;
  const mayChange = mine && id !== undefined && text !== undefined;

  const pressed = (event: KeyboardEvent<HTMLElement>) => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = { r: id && (() => setPicking(true)), e: mayChange && (() => onEdit(id)), c: text !== undefined && (() => void navigator.clipboard.writeText(text)), Delete: mayChange && (() => setDeleting(true)) }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };
  return (
    <article
      data-key={message.key}
      className={`message ${message.state} ${goesOn ? "goes-on" : ""} ${picking ? "active" : ""} ${calls(message, user) ? "mentions-me" : ""}`}
      tabIndex={tabbed ? 0 : -1}
      aria-label={`${name}: ${spoken(message)}, ${time(message.at)}${stateWords(message)}`}
      onFocus={() => onFocus(props.rowKey)}
      onKeyDown={pressed}
    >
      {goesOn ? <time className="margin-time" dateTime={new Date(message.at).toISOString()}>{shortTime(message.at)}</time> : <Face user={message.sender.user} name={name} />}
      <div className="message-inside">
        {!goesOn && (
          <div className="byline">
            <bdi className={`author`}>{name}</bdi>
            {isProgram(message.sender.user) && <span className="tag">plugin</span>}
            <time dateTime={new Date(message.at).toISOString()} title={wholeTime(message.at)}>{time(message.at)}</time>
          </div>
        )}
        {editing ? <EditBox message={message} room={room} onDone={() => { onEdit(undefined); props.onBack(); }} /> : <Content message={message} user={user} />}
        <Fate {...props} />
        {id && message.reactions.length > 0 && <Reactions message={message} room={room} onMore={() => setPicking(true)} />}
      </div>
      {id && !editing && (
        <div className="actions" role="group" aria-label="Actions">
          <IconButton name="smile" label="React" tabIndex={tabbed ? 0 : -1} onClick={() => setPicking(true)} />
          {mayChange && <IconButton name="edit" label="Edit" tabIndex={tabbed ? 0 : -1} onClick={() => onEdit(id)} />}
          {mayChange && <IconButton name="trash" label="Delete" tabIndex={tabbed ? 0 : -1} onClick={() => setDeleting(true)} />}
        </div>
      )}
      {picking && id && (
        <ReactionPicker
          onClose={() => setPicking(false)}
          onPick={(reaction) => {
            setPicking(false);
            const own = message.reactions.find((one) => one.reaction === reaction)?.own ?? false;
            void room.react(id, reaction, !own);
          }}
        />
      )}
      {deleting && id && (
        <Dialog title="Delete this message?" onClose={() => setDeleting(false)} className="confirm">
          <p className="said" dir="auto">{text?.slice(0, 300)}</p>
          <p className="soft">Everybody sees that something was deleted, and nobody reads it any more.</p>
          <p className="buttons">
            <button type="button" onClick={() => setDeleting(false)}>Keep it</button>
            <button type="button" className="danger" data-first onClick={() => { setDeleting(false); void room.delete(id); }}>Delete</button>
          </p>
        </Dialog>
      )}
    </article>
  );
});

function Content({ message, user }: { message: Shown; user: string }) {
  if (message.deleted) return <p className="stone"><Icon name="trash" size={14} /> This message was deleted.</p>;
  const text = textOf(message.body);
  return (
    <div className={`content ${message.acting === "delete" ? "going" : ""}`}>
      {/* What is no text must not pass for one: plugins judged it as something else. */}
      {text === undefined ? <p className="soft">(something that is no text)</p> : <Text text={text} rich={isMarkdown(message.body)} me={user} />}
      {previewsOf(message.annotations).map((page) => <Preview key={page.url} page={page} />)}
      {message.editedAt !== undefined && <span className="edited" title={`Edited ${wholeTime(message.editedAt)}`}>(edited)</span>}
    </div>
  );
}

/** What became of it: on its way, refused, held, or what was refused about it. */
function Fate({ message, room, onRewrite }: MessageRowProps) {
  const { state, key, id, reason, problem, notices } = message;
  return (
    <>
      {(state === "waiting" || state === "sending") && <p className="fate soft"><Icon name="clock" size={13} /> {state === "waiting" ? "Waiting for the connection" : "Sending"}</p>}
      {state === "refused" && (
        <div className="fate box danger">
          <p><Icon name="alert" size={16} /> <strong>Not sent.</strong> <span dir="auto">{reason}</span></p>
          <p className="buttons">
            <button type="button" className="small" onClick={() => onRewrite(message)}>Edit</button>
            <button type="button" className="small" onClick={() => room.retry(key)}>Try again</button>
            <button type="button" className="quiet small" onClick={() => room.discard(key)}>Discard</button>
          </p>
        </div>
      )}
      {state === "held" && (
        <div className="fate box warn">
          <p><Icon name="shield" size={16} /> <strong>Waiting for a moderator.</strong> <span dir="auto">{reason}</span></p>
          <p className="buttons"><button type="button" className="quiet small" onClick={() => room.discard(key)}>Hide</button></p>
        </div>
      )}
      {problem && id && (
        <div className="fate box danger">
          <p><Icon name="alert" size={16} /> <strong>{PROBLEM[problem.verb] ?? "Not done."}</strong> <span dir="auto">{problem.reason}</span></p>
          <p className="buttons"><button type="button" className="quiet small" onClick={() => room.dismiss(id)}>Got it</button></p>
        </div>
      )}
      {notices?.map((notice) => <p key={notice} className="fate box soft-box" dir="auto">{notice}</p>)}
    </>
  );
}

const PROBLEM: Record<string, string> = { edit: "Your edit was not taken.", delete: "It could not be deleted.", react: "Your reaction was not taken.", unreact: "Your reaction stays." };

/** How many different reactions are shown; the picker has no more room either. */
const REACTIONS_MAX = 20;

function Reactions({ message, room, onMore }: { message: Shown; room: Room; onMore: () => void }) {
  const more = message.reactions.length - REACTIONS_MAX;
  return (
    <div className="reactions" role="group" aria-label="Reactions">
      {message.reactions.slice(0, REACTIONS_MAX).map(({ reaction, count, own, users }) => (
        <button
          key={reaction}
          type="button"
          className={`reaction ${own ? "own" : ""}`}
          aria-pressed={own}
          aria-label={`${reaction}, ${count}`}
          title={users.length ? users.slice(0, 20).join(", ") : undefined}
          onClick={() => message.id && void room.react(message.id, reaction, !own)}
        >
          <span className="emoji">{reaction}</span> {count.toLocaleString()}
        </button>
      ))}
      {more > 0 && <span className="soft">and {more} more</span>}
      <IconButton name="smile" label="Add a reaction" size={16} className="add-reaction" onClick={onMore} />
    </div>
  );
}

function stateWords(message: Shown): string {
  if (message.state === "sent") return message.editedAt !== undefined && !message.deleted ? ", edited" : "";
  return { waiting: ", waiting to be sent", sending: ", sending", refused: ", not sent", held: ", waiting for a moderator" }[message.state];
}
