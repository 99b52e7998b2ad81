//! The chat verbs that travel as remote procedure calls, the same for every dialect.

use crate::access::Act;
use crate::dialect::command::{Since, nullable, room};
use crate::recover::{Asked, History};
use confab_config::Limits;
use confab_protocol::{Body, Cursor, Draft, Epoch, EventId, Key, Kind, Record, Refusal, Room, VerbName};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A verb with its arguments read.
pub enum Verb {
    /// Something is to happen in a room.
    Send {
        /// What.
        draft: Draft,
        /// Whether the client named it.
        keyed: bool,
    },
    /// What was said?
    History {
        /// Where.
        room: Room,
        /// Which part.
        asked: Asked,
    },
    /// Somebody is typing.
    Typing {
        /// Where.
        room: Room,
    },
}

impl Verb {
    /// What it is that is asked of the room.
    pub fn act(&self) -> Act {
        match self {
            Self::Send { draft, .. } => Act::of(draft.kind),
            Self::History { .. } => Act::Read,
            Self::Typing { .. } => Act::Type,
        }
    }

    /// The room it is about.
    pub fn room(&self) -> &Room {
        match self {
            Self::Send { draft, .. } => &draft.room,
            Self::History { room, .. } | Self::Typing { room } => room,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendIn {
    room: String,
    key: Option<Key>,
    body: Body,
    thread: Option<EventId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditIn {
    room: String,
    key: Option<Key>,
    target: EventId,
    body: Body,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteIn {
    room: String,
    key: Option<Key>,
    target: EventId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReactIn {
    room: String,
    key: Option<Key>,
    target: EventId,
    reaction: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypingIn {
    room: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HistoryIn {
    room: String,
    since: Option<SinceIn>,
    #[serde(default, deserialize_with = "nullable")]
    reverse: bool,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SinceIn {
    epoch: Option<Epoch>,
    offset: u64,
}

#[derive(Serialize)]
struct Reaction<'a> {
    reaction: &'a str,
}

/// The longest reaction, in bytes: an emoji with all its modifiers, or a short name.
const REACTION_BYTES_MAX: usize = 64;

/// Reads a call. An unknown method is error 108, as the protocol has it.
pub fn parse(method: &str, data: Option<&Body>, limits: &Limits) -> Result<Verb, Refusal> {
    let named = |name: &str| room(name, limits.room_name_bytes);
    match VerbName::from_name(method).ok_or(Refusal::NotAvailable)? {
        VerbName::Send => {
            let SendIn { room, key, body, thread } = arguments(method, data)?;
            send(Kind::Message, named(&room)?, key, body, None, thread)
        }
        VerbName::Edit => {
            let EditIn { room, key, target, body } = arguments(method, data)?;
            send(Kind::Edit, named(&room)?, key, body, Some(target), None)
        }
        VerbName::Delete => {
            let DeleteIn { room, key, target } = arguments(method, data)?;
            send(Kind::Delete, named(&room)?, key, Body::null(), Some(target), None)
        }
        verb @ (VerbName::React | VerbName::Unreact) => {
            let ReactIn { room, key, target, reaction } = arguments(method, data)?;
            if reaction.is_empty() || reaction.len() > REACTION_BYTES_MAX {
                return Err(bad(format!("a reaction has 1 to {REACTION_BYTES_MAX} bytes")));
            }
            let kind = if verb == VerbName::React { Kind::Reaction } else { Kind::Unreaction };
            send(kind, named(&room)?, key, Body::of(&Reaction { reaction: &reaction }), Some(target), None)
        }
        VerbName::History => {
            let HistoryIn { room, since, reverse, limit } = arguments(method, data)?;
            let since = since.map(|since| Since { epoch: since.epoch, offset: since.offset });
            let limit = limit.unwrap_or(limits.history_page).min(limits.history_page);
            Ok(Verb::History {
                room: named(&room)?,
                asked: Asked { since, reverse, limit, bytes: limits.outbox.bytes() / 4 },
            })
        }
        VerbName::Typing => {
            let TypingIn { room } = arguments(method, data)?;
            Ok(Verb::Typing { room: named(&room)? })
        }
        VerbName::Review => Err(Refusal::NotAvailable), // moderators' own, read elsewhere
    }
}

fn send(
    kind: Kind,
    room: Room,
    key: Option<Key>,
    body: Body,
    target: Option<EventId>,
    thread: Option<EventId>,
) -> Result<Verb, Refusal> {
    let keyed = key.is_some();
    let draft = Draft { kind, room, key: key.unwrap_or_else(Key::fresh), body, target, thread };
    Ok(Verb::Send { draft, keyed })
}

fn arguments<'a, T: Deserialize<'a>>(method: &str, data: Option<&'a Body>) -> Result<T, Refusal> {
    let data = data.ok_or_else(|| bad(format!("`{method}` needs arguments")))?;
    data.read().map_err(|error| bad(format!("`{method}`: {error}")))
}

fn bad(what: String) -> Refusal {
    Refusal::BadRequest(what.into())
}

/// The result of `history`: events as JSON objects, where to go on, and the room's last place. `trails`: how each was judged stands
/// there as well, for operators and moderators. A page that is larger than `bytes_max` ends earlier, but not before its first
/// event.
pub fn history(mut page: History, trails: bool, bytes_max: usize) -> Body {
    #[derive(Serialize)]
    struct HistoryOut<R> {
        events: Vec<R>,
        next: Option<Cursor>,
        epoch: Epoch,
        offset: u64,
    }
    page.shorten_to_bytes(bytes_max);
    loop {
        let (count, next, Cursor { epoch, offset }) = (page.records.len(), page.next, page.top);
        let body = if trails {
            let events: Vec<&Record> = page.records.iter().map(Arc::as_ref).collect();
            Body::of(&HistoryOut { events, next, epoch, offset })
        } else {
            let events = page.records.iter().map(|record| record.public()).collect();
            Body::of(&HistoryOut { events, next, epoch, offset })
        };
        let bytes = body.as_str().len();
        if bytes <= bytes_max || count < 2 {
            return body;
        }
        page.shorten((count * bytes_max / bytes).clamp(1, count - 1));
    }
}
