//! Plugins, the chains they stand in, and the tests of those chains.

use super::Capabilities;
use crate::human::{Size, duration};
use serde::de::{self, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// What a plugin is and may do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginConfig {
    /// The component file. Relative to hub.toml's folder.
    pub module: PathBuf,
    /// The BLAKE3 hash that the file must have, if pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
    /// The longest a call may take: what it computes, and what the host does for it. What others take meanwhile is not counted.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// The most memory one instance may have.
    pub memory: Size,
    /// The largest answer.
    pub output: Size,
    /// What happens to the event when the plugin fails.
    pub on_fault: OnFault,
    /// When a plugin that keeps failing is taken out, and how it comes back.
    pub breaker: BreakerConfig,
    /// Whether anything may survive from one message to the next.
    pub isolation: Isolation,
    /// What it may do besides judging. Default: nothing.
    pub capabilities: Capabilities,
    /// Its own settings, handed to it as JSON when it is configured.
    pub settings: toml::Table,
}

impl Default for PluginConfig {
    fn default() -> Self {
        Self {
            module: PathBuf::new(),
            blake3: None,
            timeout: Duration::from_millis(5),
            memory: Size::mib(16),
            output: Size::kib(64),
            on_fault: OnFault::Reject,
            breaker: BreakerConfig::default(),
            isolation: Isolation::Message,
            capabilities: Capabilities::default(),
            settings: toml::Table::new(),
        }
    }
}

/// What happens to an event whose plugin failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFault {
    /// The sender is refused.
    Reject,
    /// The event goes on as if the plugin had accepted it.
    Pass,
    /// The event waits for a moderator.
    Hold,
}

/// When a plugin that keeps failing is not asked any more, and how it is brought back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// So many faults take it out; 0: nothing does.
    pub faults: u32,
    /// And they are at least this share of its calls, from 0 to 1.
    pub share: f64,
    /// The time in which both are counted.
    #[serde(with = "duration")]
    pub within: Duration,
    /// How long it stays out before it is tried again; twice as long after each try that fails.
    #[serde(with = "duration")]
    pub pause: Duration,
    /// The longest that pauses become.
    #[serde(with = "duration")]
    pub pause_max: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            faults: 10,
            share: 0.5,
            within: Duration::from_secs(10),
            pause: Duration::from_secs(1),
            pause_max: Duration::from_secs(60),
        }
    }
}

/// Whether anything of a plugin survives from one message to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// A fresh instance per message: nothing survives.
    Message,
    /// Instances are kept and used again; one that failed is thrown away.
    Worker,
}

/// Who is judged by what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChainRule {
    /// Patterns of room names.
    pub rooms: Vec<String>,
    /// What is judged.
    pub on: Vec<JudgedKind>,
    /// The plugins, in order.
    pub plugins: Vec<ChainStep>,
}

impl Default for ChainRule {
    fn default() -> Self {
        Self {
            rooms: vec!["**".into()],
            on: vec![JudgedKind::Send, JudgedKind::Edit, JudgedKind::React],
            plugins: Vec::new(),
        }
    }
}

/// What a chain judges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JudgedKind {
    /// A message.
    #[default]
    Send,
    /// An edit of a message.
    Edit,
    /// The deletion of a message.
    Delete,
    /// A reaction, or one taken back.
    React,
    /// That somebody joins a room.
    Join,
    /// That somebody left a room: only effects follow from what is said of it.
    Leave,
    /// That somebody is typing.
    Typing,
}

impl JudgedKind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Send, Self::Edit, Self::Delete, Self::React, Self::Join, Self::Leave, Self::Typing];

    /// Its name in hub.toml.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Edit => "edit",
            Self::Delete => "delete",
            Self::React => "react",
            Self::Join => "join",
            Self::Leave => "leave",
            Self::Typing => "typing",
        }
    }

    /// Whether it has a body that can be replaced, and that a moderator can let through later.
    pub fn has_body(self) -> bool {
        matches!(self, Self::Send | Self::Edit)
    }
}

/// A plugin's place in a chain: its name, or its name with how it is used.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ChainStep {
    /// The plugin's name.
    Name(String),
    /// The plugin's name with how it is used.
    Use {
        /// The plugin's name.
        r#use: String,
        /// It judges, but nothing follows but a log line and a metric.
        shadow: bool,
        /// It is asked in so many percent of the rooms, always the same ones. `None`: in all.
        #[serde(skip_serializing_if = "Option::is_none")]
        sample: Option<f64>,
    },
}

impl ChainStep {
    /// The plugin's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::Use { r#use: name, .. } => name,
        }
    }

    /// Whether it only watches.
    pub fn shadow(&self) -> bool {
        matches!(self, Self::Use { shadow: true, .. })
    }

    /// In how many percent of the rooms it is asked, if not in all.
    pub fn sample(&self) -> Option<f64> {
        match self {
            Self::Name(_) => None,
            Self::Use { sample, .. } => *sample,
        }
    }
}

// Written by hand, as a derived untagged enum only says that no variant fits, and not which key of the table is wrong.
impl<'de> Deserialize<'de> for ChainStep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Use {
            r#use: String,
            #[serde(default)]
            shadow: bool,
            sample: Option<f64>,
        }

        struct Step;
        impl<'de> Visitor<'de> for Step {
            type Value = ChainStep;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a plugin's name, or a table like { use = \"name\", shadow = true }")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<ChainStep, E> {
                Ok(ChainStep::Name(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ChainStep, A::Error> {
                let Use { r#use, shadow, sample } = Use::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ChainStep::Use { r#use, shadow, sample })
            }
        }
        deserializer.deserialize_any(Step)
    }
}

/// An expected verdict.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChainTest {
    /// The room.
    pub room: String,
    /// What is sent: the `text` of a message's body. Joins, leaves and typing have none.
    pub send: String,
    /// What happens: what the chains' `on` calls it.
    pub on: JudgedKind,
    /// The sender's roles.
    pub roles: Vec<String>,
    /// What should come of it.
    pub expect: Expect,
}

/// What should come of a test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// `accept`, `replace`, `reject` or `hold`.
    pub verdict: String,
    /// The `text` after all rewrites.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The refusal's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// What plugins ask for besides, in order: `notice`, `mute`, `flag`, `say`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effects: Option<Vec<String>>,
}
