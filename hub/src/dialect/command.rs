//! What a client can ask of a session, and what a session answers: the same for every dialect.

use crate::outbox::Frame;
use confab_protocol::{Body, Cursor, Epoch, Key, Present, Record, Refusal, Room};
use serde::{Deserialize, Deserializer};
use std::sync::Arc;

/// The number of an answer that nobody waits for.
pub const NO_ANSWER: u32 = u32::MAX;

/// A command with the number by which its answer is found; `None` where no answer is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// The client's number for it.
    pub number: Option<u32>,
    /// What is asked.
    pub command: Command,
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Who I am.
    Connect {
        /// A token, or empty.
        token: String,
        /// Anything.
        data: Option<Body>,
        /// The places held in rooms that the token joins.
        subs: Vec<(String, Since)>,
    },
    /// Let me listen to a room.
    Subscribe {
        /// The room, not yet checked.
        room: String,
        /// How.
        wish: Wish,
    },
    /// Let me listen to a room in the way that the hub's settings map its events, and answer nothing.
    Listen {
        /// The room, not yet checked.
        room: String,
    },
    /// I stop listening.
    Unsubscribe {
        /// The room, not yet checked.
        room: String,
    },
    /// Say this (the hub makes the key).
    Publish {
        /// The room, not yet checked.
        room: String,
        /// The body.
        data: Body,
    },
    /// A verb.
    Rpc {
        /// Its name.
        method: String,
        /// Its arguments.
        data: Option<Body>,
    },
    /// An event of a front end that exists, which the hub's settings map to a send.
    Mapped {
        /// Its name.
        event: String,
        /// The arguments of the verb `send`, or why it has no such meaning.
        send: Result<Body, Refusal>,
        /// The client's own name for it, under which it tries again.
        key: Option<Key>,
    },
    /// What was said?
    History {
        /// The room, not yet checked.
        room: String,
        /// Read from here.
        since: Option<Since>,
        /// From new to old.
        reverse: bool,
        /// The most events; 0 asks only for the position, a negative number for as many as a page holds.
        limit: i64,
    },
    /// Here is a new token.
    Refresh {
        /// The token.
        token: String,
    },
    /// Here is a new token for a room.
    SubRefresh {
        /// The room, not yet checked.
        room: String,
        /// The token.
        token: String,
    },
    /// Who listens?
    Presence {
        /// The room, not yet checked.
        room: String,
    },
    /// How many listen?
    PresenceStats {
        /// The room, not yet checked.
        room: String,
    },
    /// A message that expects no answer.
    Send,
    /// The answer to a ping.
    Pong,
    /// Its `data` is no JSON.
    NotJson,
    /// Known to the protocol, but not served by this hub.
    Unavailable,
    /// Not known to the protocol.
    Unknown,
    /// The dialect has answered it already, with this frame.
    Answered(Frame),
    /// The dialect could see that it is a command, and not read it.
    Refused(Refusal),
    /// The client ends the session.
    Goodbye,
}

impl Command {
    /// Whether it counts as one of the commands that a user may give in a time.
    pub fn is_work(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Listen { .. }
            | Self::Unsubscribe { .. }
            | Self::Send
            | Self::Pong
            | Self::Answered(_)
            | Self::Goodbye => false,
            Self::Subscribe { .. }
            | Self::Publish { .. }
            | Self::Mapped { .. }
            | Self::Rpc { .. }
            | Self::History { .. }
            | Self::Refresh { .. }
            | Self::SubRefresh { .. }
            | Self::Presence { .. }
            | Self::PresenceStats { .. }
            | Self::NotJson
            | Self::Unavailable
            | Self::Unknown
            | Self::Refused(_) => true,
        }
    }
}

/// How a client wants to listen to a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Give me what I missed since this place.
    pub since: Option<Since>,
    /// Rather refuse me than let me listen without all that I missed.
    pub all_or_nothing: bool,
    /// A token for this room, or empty.
    pub token: String,
    /// Tell me who comes and goes.
    pub join_leave: bool,
}

/// A place that a client holds. An empty epoch means: whichever is current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// The epoch, if the client knows one.
    pub epoch: Option<Epoch>,
    /// The last offset that it has.
    pub offset: u64,
}

/// What a session answers.
#[derive(Clone, Debug)]
pub enum Reply {
    /// You are in.
    Connected {
        /// The session's name.
        client: String,
        /// Seconds between pings.
        ping_s: u64,
        /// Seconds until the token runs out.
        ttl: Option<u64>,
        /// The rooms that the token joined.
        subs: Vec<(Room, Joined)>,
    },
    /// You are not in, and may try again.
    NotConnected(Refusal),
    /// You listen, from here.
    Subscribed(Joined),
    /// Done, and there is nothing to tell.
    Empty(Done),
    /// The verb's result.
    Rpc(Body),
    /// What was said.
    History {
        /// The events.
        records: Vec<Arc<Record>>,
        /// The room's last place.
        top: Cursor,
    },
    /// The token is taken.
    Refreshed {
        /// The session's name.
        client: String,
        /// Seconds until it runs out.
        ttl: Option<u64>,
    },
    /// The room's token is taken.
    SubRefreshed {
        /// Seconds until it runs out.
        ttl: Option<u64>,
    },
    /// Who listens.
    Presence {
        /// All of them, or, where they are many, some.
        some: Vec<Present>,
        /// How many there are.
        clients: u32,
    },
    /// How many listen.
    PresenceStats {
        /// Sessions.
        clients: u32,
        /// People.
        users: u32,
    },
    /// No.
    Refused(Refusal),
    /// Nothing: the client takes the silence for a no, and asks again under the same key.
    Unanswered,
}

/// Which command is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// An unsubscribe.
    Unsubscribe,
    /// A publish.
    Publish,
}

/// What a session is told when it joins a room.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The place it listens from.
    pub cursor: Cursor,
    /// What it missed, if it asked.
    pub missed: Vec<Arc<Record>>,
    /// Whether it asked, and whether it was given everything.
    pub recovery: Recovery,
    /// Seconds until its right to listen runs out.
    pub ttl: Option<u64>,
}

/// What became of a wish to recover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// It did not ask.
    NotAsked,
    /// It has everything.
    Complete,
    /// Something is missing; this is the oldest place that can be read.
    Incomplete {
        /// The oldest place, if anything can be read.
        oldest: Option<Cursor>,
    },
}

/// Reads a member that may be left out: `null` is as if it were not there.
pub fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Checks a room's name against what a room can be called and the hub's own limit.
pub fn room(name: &str, bytes_max: usize) -> Result<Room, Refusal> {
    if name.len() > bytes_max {
        return Err(Refusal::BadRequest(format!("room name is longer than {bytes_max} bytes").into()));
    }
    Room::new(name).map_err(|error| Refusal::BadRequest(error.to_string().into()))
}
