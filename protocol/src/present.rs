//! Who is in a room at the moment: ephemeral, never journaled.

use crate::{Body, Room, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A session that listens to a room, as others are shown it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {
    /// The person.
    pub user: UserId,
    /// The session's name.
    pub client: String,
    /// What the token says should be shown of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<Body>,
}

/// Somebody is typing in a room. Takes no place in the room's order, and may be lost on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typing {
    /// Where.
    pub room: Room,
    /// Who. Their own session is not told.
    pub who: Present,
}

/// A user's sessions are to end, on every hub. Takes no place in any order, and may be lost on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disconnect {
    /// Whose.
    pub user: UserId,
    /// Only the session that others know by this; all of them if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Whether their clients are to come back.
    pub reconnect: bool,
    /// The hub that was asked, which has ended its own already.
    pub from: Uuid,
}

/// A session came into a room or went. Takes no place in the room's order, and may be lost on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// Where.
    pub room: Room,
    /// Who.
    pub who: Present,
    /// It came; otherwise it went.
    pub here: bool,
}
