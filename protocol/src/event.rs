//! What happens in a room, and what a client asked to happen.

use crate::{Body, EventId, Key, Room, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = u64;

/// What plugins added to an event: `plugin.name` → JSON value. Never part of the body.
pub type Annotations = BTreeMap<String, Body>;

/// What an event does. Every kind here takes an offset and is journaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A person says something.
    Message,
    /// The target's body becomes this event's body.
    Edit,
    /// The target's body is blanked; its place stays.
    Delete,
    /// A reaction is added to the target; the body is `{"reaction": "👍"}`.
    Reaction,
    /// A reaction is taken back from the target; the body is `{"reaction": "👍"}`.
    Unreaction,
}

impl Kind {
    /// The kind's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Edit => "edit",
            Self::Delete => "delete",
            Self::Reaction => "reaction",
            Self::Unreaction => "unreaction",
        }
    }

    /// The kind with this name on the wire.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Message, Self::Edit, Self::Delete, Self::Reaction, Self::Unreaction]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// The person.
    pub user: UserId,
    /// The session they did it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// What the token says should be shown of them (its `info`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<Body>,
}

/// What a client sent, recognised but not yet believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it would do.
    pub kind: Kind,
    /// Where.
    pub room: Room,
    /// The client's name for this send; where it gave none the hub makes one.
    pub key: Key,
    /// What is said.
    pub body: Body,
    /// The event it acts on; required for every kind but a message.
    pub target: Option<EventId>,
    /// The message whose thread it belongs to.
    pub thread: Option<EventId>,
}

impl Draft {
    /// A digest of all that the client chose besides the key: the same key with another digest is another draft.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [
            self.kind.as_str(),
            &self.target.map(|id| id.to_string()).unwrap_or_default(),
            &self.thread.map(|id| id.to_string()).unwrap_or_default(),
            self.body.as_str(),
        ] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

/// Anything that happens in a room, stamped by the hub with id, sender and time. Its place is its [`crate::Cursor`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it does.
    pub kind: Kind,
    /// Its id.
    pub id: EventId,
    /// Where.
    pub room: Room,
    /// Who.
    pub sender: Sender,
    /// The client's name for it.
    pub key: Key,
    /// The digest of the draft it came from ([`Draft::digest`]).
    pub digest: String,
    /// When the hub stamped it.
    pub at: Millis,
    /// What is said, exactly as judged.
    pub body: Body,
    /// The event it acts on.
    pub target: Option<EventId>,
    /// The message whose thread it belongs to.
    pub thread: Option<EventId>,
    /// What plugins added.
    pub annotations: Annotations,
}
