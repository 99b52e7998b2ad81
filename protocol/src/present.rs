//! Who is in a room at the moment: ephemeral, never journaled.

use crate::{Body, Room, UserId};
use serde::{Deserialize, Serialize};

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
