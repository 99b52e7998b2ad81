//! An event that waits for a moderator.

use crate::{Body, Event, EventId, Millis, Room, Trail};
use serde::{Deserialize, Serialize};

/// Where a held event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldState {
    /// Nobody has decided yet.
    Waiting,
    /// It was approved and published.
    Approved,
    /// It was denied.
    Denied,
}

impl HeldState {
    /// The name in tables and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Denied => "denied",
        }
    }

    /// The state with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Waiting, Self::Approved, Self::Denied].into_iter().find(|state| state.as_str() == name)
    }
}

/// An event that a plugin (or a fault's policy) set aside. It has an id and its original time, but no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What would have happened.
    pub event: Event,
    /// How it was judged up to the hold.
    pub trail: Trail,
    /// Which plugin held it.
    pub plugin: String,
    /// Why.
    pub reason: String,
    /// When it was held.
    pub held_at: Millis,
    /// Where it stands.
    pub state: HeldState,
    /// What plugins want to say about it: said once it is published, and never if it is not.
    pub says: Vec<HeldEmit>,
}

/// A message of a plugin's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldEmit {
    /// Whose.
    pub plugin: String,
    /// Where.
    pub room: Room,
    /// What.
    pub body: Body,
    /// The message whose thread it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<EventId>,
    /// How many plugins' messages led to it, this one included.
    pub hops: u32,
}

impl Held {
    /// The id by which it is listed, approved or denied: the event's own.
    pub fn id(&self) -> EventId {
        self.event.id
    }
}
