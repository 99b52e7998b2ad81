//! What an operator can say of the guard.

use confab_plugin_sdk::settings::{Code, Span};
use serde::{Deserialize, Serialize};

/// `[plugin.<name>.settings]` in hub.toml.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How much one person may say in one room; 0 messages: as much as they like.
    pub rate: Limit,
    /// How often one person may say the same, in all rooms together; 0 messages: as often as they like.
    pub repeats: Limit,
    /// Texts with fewer letters and digits may be repeated: everybody says "ok".
    pub repeats_least: usize,
    /// How many people may be new in a room before it is a raid; 0 people: as many as like.
    pub raid: Raid,
    /// What happens to a message past a limit.
    pub action: Action,
    /// What happens to a message while what is counted cannot be reached: in a cluster, while Redis is away.
    pub unavailable: Unavailable,
    /// How long the sender is muted in the room, where the action is `mute`.
    pub mute: Span,
    /// Whoever has one of these roles is let through.
    pub exempt_roles: Vec<String>,
    /// The code of a refusal.
    pub code: Code,
}

/// So many in so much time. The time begins with the first of them.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// How many messages are let through.
    pub messages: u32,
    /// In how much time.
    pub per: Span,
}

/// When a crowd is a raid, and how long its people are kept out.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Raid {
    /// How many may join, or say their first word, without being a raid.
    pub people: u32,
    /// In how much time.
    pub per: Span,
    /// How long it is a raid, once it is one.
    pub lasts: Span,
}

/// What happens to a message past a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is refused.
    #[default]
    Reject,
    /// It is refused, and its sender is muted in the room.
    Mute,
    /// It waits for a moderator.
    Hold,
}

/// What happens to a message that cannot be counted now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unavailable {
    /// It is let through: a Redis that is away does not silence rooms.
    #[default]
    Pass,
    /// It is refused.
    Reject,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rate: Limit { messages: 10, per: Span::seconds(10) },
            repeats: Limit { messages: 3, per: Span::seconds(60) },
            repeats_least: 8,
            raid: Raid { people: 0, per: Span::seconds(60), lasts: Span::seconds(600) },
            action: Action::default(),
            unavailable: Unavailable::default(),
            mute: Span::seconds(300),
            exempt_roles: vec!["moderator".into()],
            code: Code::new(429).expect("a plugin's code"),
        }
    }
}
