//! What an operator can say of the plugin.

use confab_plugin_sdk::settings::Code;
use serde::{Deserialize, Serialize};

/// `[plugin.<name>.settings]` in hub.toml.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What happens to shouting.
    pub shouting: Shouting,
    /// Which share of a text's letters are capitals before it is shouting: 0 to 1.
    pub shouting_share: f64,
    /// Texts with fewer letters, of those that have capitals, are no shouting.
    pub shouting_least: usize,
    /// What happens to towers of marks over and under letters ("zalgo").
    pub marks: Noise,
    /// How many marks a letter may have.
    pub marks_most: usize,
    /// What happens to floods of emoji.
    pub emoji: Noise,
    /// How many emoji a text may have.
    pub emoji_most: usize,
    /// What happens to characters that go on and on.
    pub repeats: Noise,
    /// How many times a character may stand in a row.
    pub repeats_most: usize,
    /// The code of a refusal.
    pub code: Code,
}

/// What happens to shouting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Shouting {
    /// Nothing.
    Off,
    /// It is written in small letters.
    Lower,
    /// It is refused.
    Reject,
}

/// What happens to noise of some kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// Nothing.
    Off,
    /// What is too much is taken away.
    Trim,
    /// It is refused.
    Reject,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shouting: Shouting::Lower,
            shouting_share: 0.7,
            shouting_least: 12,
            marks: Noise::Trim,
            marks_most: 4,
            emoji: Noise::Trim,
            emoji_most: 10,
            repeats: Noise::Trim,
            repeats_most: 5,
            code: Code::new(422).expect("a plugin's code"),
        }
    }
}
