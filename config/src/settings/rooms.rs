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
    /// Who may make such a room, where its members are who may join.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create: Option<CreateRule>,
    /// The most members of such a room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_members: Option<u64>,
    /// The rank that each act needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<PermissionsRule>,
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
    /// Its members, as the store has them. For everybody else there is no such room.
    Members,
}

/// Who may make rooms that have members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreateRule {
    /// Whoever is connected, guests excepted.
    #[default]
    Anyone,
    /// Moderators of the hub, and operators.
    Moderators,
    /// Operators.
    Operators,
}

/// What somebody is in a room, from the lowest to the highest; `nobody` is above all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rank {
    /// Whoever may be there.
    Anyone,
    /// A member.
    Member,
    /// One of its moderators, or a moderator of the hub who may be there.
    Moderator,
    /// One of its owners, or somebody with the role `admin` who may be there.
    Owner,
    /// Nobody.
    Nobody,
}

/// The ranks that a rule gives. What is left out is left to the rules before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PermissionsRule {
    /// To say something, or to edit it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<Rank>,
    /// To react.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub react: Option<Rank>,
    /// To add members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invite: Option<Rank>,
    /// To remove members of a lower rank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove: Option<Rank>,
    /// To change title and topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manage: Option<Rank>,
}

/// The ranks that acts need in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// To say something, or to edit it.
    pub send: Rank,
    /// To react.
    pub react: Rank,
    /// To add members.
    pub invite: Rank,
    /// To remove members of a lower rank.
    pub remove: Rank,
    /// To change title and topic.
    pub manage: Rank,
}

impl Default for Permissions {
    fn default() -> Self {
        Self {
            send: Rank::Anyone,
            react: Rank::Anyone,
            invite: Rank::Member,
            remove: Rank::Moderator,
            manage: Rank::Moderator,
        }
    }
}

impl Permissions {
    /// These, where the rule says nothing else.
    #[must_use]
    pub fn under(self, rule: &PermissionsRule) -> Self {
        Self {
            send: rule.send.unwrap_or(self.send),
            react: rule.react.unwrap_or(self.react),
            invite: rule.invite.unwrap_or(self.invite),
            remove: rule.remove.unwrap_or(self.remove),
            manage: rule.manage.unwrap_or(self.manage),
        }
    }
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
