//! What rooms are.

use crate::human::optional_duration;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What the rooms whose names match are. `None` leaves it to the rules before, and at last to the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoomRule {
    /// Patterns: `*` is one segment, `**` any depth, a leading `!` excludes. Segments are divided by `:`.
    pub r#match: Vec<String>,
    /// How much of the timeline is kept at hand for recovery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hot_window: Option<HotWindowRule>,
    /// Whether recovery goes on, past the hot window, in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deep_recovery: Option<bool>,
    /// How long events are kept; zero: for ever.
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub retention: Option<Duration>,
    /// Who may join.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join: Option<JoinRule>,
    /// Who may begin such a room, by being the first to say something there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begin: Option<BeginRule>,
    /// Whether those who listen can be asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<bool>,
    /// Who is told who comes and goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_leave: Option<JoinLeave>,
    /// What the body of a message is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyShape>,
    /// What a reaction is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reactions: Option<Reactions>,
}

/// What the body of a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyShape {
    /// Any JSON.
    #[default]
    Any,
    /// An object with a string `text`.
    Text,
}

/// What a reaction is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reactions {
    /// One emoji, or a short name such as `:tada:`.
    #[default]
    Emoji,
    /// Any text of up to 64 bytes.
    Any,
}

/// Who may join a room, and so read it and speak in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinRule {
    /// Whoever is connected.
    #[default]
    Anyone,
    /// Whoever brings a token for this room, or whose connection's token names it.
    Token,
}

/// Who may begin a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BeginRule {
    /// Whoever may speak there.
    #[default]
    Anyone,
    /// Moderators, and operators.
    Moderators,
}

/// Who in a room is told who comes and goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinLeave {
    /// Nobody.
    #[default]
    Nobody,
    /// Listeners who ask for it.
    Asked,
    /// Every listener.
    Everyone,
}

/// `true` is [`JoinLeave::Asked`] and `false` is [`JoinLeave::Nobody`], as they were written before there was a third.
impl<'de> Deserialize<'de> for JoinLeave {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;
        impl de::Visitor<'_> for Reads {
            type Value = JoinLeave;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"nobody\", \"asked\" or \"everyone\"")
            }
            fn visit_bool<E>(self, asked: bool) -> Result<JoinLeave, E> {
                Ok(if asked { JoinLeave::Asked } else { JoinLeave::Nobody })
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<JoinLeave, E> {
                match name {
                    "nobody" => Ok(JoinLeave::Nobody),
                    "asked" => Ok(JoinLeave::Asked),
                    "everyone" => Ok(JoinLeave::Everyone),
                    other => Err(E::unknown_variant(other, &["nobody", "asked", "everyone"])),
                }
            }
        }
        deserializer.deserialize_any(Reads)
    }
}

/// How much of the timeline of the rooms that match is kept at hand. What is left out is left to the rules before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HotWindowRule {
    /// The most events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<usize>,
    /// How long an idle room's window stays.
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub age: Option<Duration>,
}

/// How much of a room's timeline is kept at hand. Default: 1000 events, 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HotWindow {
    /// The most events.
    pub events: usize,
    /// How long an idle room's window stays.
    pub age: Duration,
}

impl Default for HotWindow {
    fn default() -> Self {
        Self { events: 1000, age: Duration::from_secs(24 * 3600) }
    }
}
