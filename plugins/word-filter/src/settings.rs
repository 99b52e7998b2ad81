//! What an operator can say of the filter.

use confab_plugin_sdk::settings::Code;
use serde::{Deserialize, Serialize};

/// `[plugin.<name>.settings]` in hub.toml.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The unwelcome words and phrases. A `*` at either end stands for more letters: `scam*`, `*spam*`.
    pub words: Vec<String>,
    /// Words and phrases that are welcome all the same, whatever is found in them.
    pub allow: Vec<String>,
    /// What happens to a message that contains one.
    pub action: Action,
    /// What each character of a masked word becomes: one character.
    pub mask: char,
    /// Whether digits and signs are read as letters: `5p4m`, `$pam`.
    pub leetspeak: bool,
    /// Whether a letter three times or more is read as one: `spaaaam`.
    pub repeats: bool,
    /// Whether a word is found that is taken apart by signs or spaces: `s.p.a.m`, `s p a m`.
    pub split: bool,
    /// The code of a refusal.
    pub code: Code,
    /// What the sender of a refused message is told, and moderators of a held or flagged one.
    pub reason: String,
}

/// What happens to a message that contains an unwelcome word.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// The word is masked, and nothing else is changed.
    #[default]
    Mask,
    /// The message is refused.
    Reject,
    /// The message waits for a moderator.
    Hold,
    /// The message goes out, and moderators are told.
    Flag,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            words: Vec::new(),
            allow: Vec::new(),
            action: Action::default(),
            mask: '*',
            leetspeak: false,
            repeats: false,
            split: false,
            code: Code::new(460).expect("a plugin's code"),
            reason: "the message contains a word that is not welcome here".into(),
        }
    }
}
