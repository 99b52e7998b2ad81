//! Events of Socket.IO front ends that exist: what they emit and hear, for rooms.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a Socket.IO front end that knows nothing of Confab emits and hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SocketIoEvent {
    /// The event that clients emit: its first argument is said in `room`; a string after it names the message, so that what
    /// is sent again under the same name is said once.
    pub on: String,
    /// The room, which every Socket.IO client enters when it connects.
    pub room: String,
    /// The event by which clients hear the room's messages.
    pub emit: String,
    /// What the argument is, both ways: `object`, `json` (an object as a JSON string), or `text` alone.
    pub shape: Shape,
    /// The argument's fields, and what each holds: `text`, and outward also `user`, `id` or `at`.
    pub fields: BTreeMap<String, Part>,
}

impl Default for SocketIoEvent {
    fn default() -> Self {
        Self {
            on: String::new(),
            room: String::new(),
            emit: String::new(),
            shape: Shape::Json,
            fields: [("message".to_owned(), Part::Text)].into(),
        }
    }
}

impl SocketIoEvent {
    /// The field that holds the text.
    pub fn text_field(&self) -> Option<&str> {
        self.fields.iter().find(|(_, part)| **part == Part::Text).map(|(field, _)| field.as_str())
    }
}

/// What an event's argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// An object with the fields.
    Object,
    /// An object with the fields, as a string of JSON. Inward, an object will do.
    Json,
    /// The text itself, without fields.
    Text,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// What is said: `text` of the body.
    Text,
    /// Who said it.
    User,
    /// The event's id.
    Id,
    /// When, in milliseconds since 1970.
    At,
}
