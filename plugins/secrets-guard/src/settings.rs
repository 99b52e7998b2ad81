//! What an operator can say of the guard.

use confab_plugin_sdk::settings::Code;
use serde::{Deserialize, Serialize};

/// `[plugin.<name>.settings]` in hub.toml.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What happens to a message with the number of a payment card.
    pub card: Action,
    /// What happens to a message with a key of a well-known service.
    pub api_key: Action,
    /// What happens to a message with a private key.
    pub private_key: Action,
    /// What happens to a message with a JSON Web Token.
    pub jwt: Action,
    /// What happens to a message with an e-mail address.
    pub email: Action,
    /// What happens to a message with a phone number.
    pub phone: Action,
    /// How many of a secret's last letters and digits stay when it is masked. Never more than half of it.
    pub keep: usize,
    /// The code of a refusal.
    pub code: Code,
}

/// What happens to a message with a secret of some kind. The later outweigh the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing: nobody looks for it.
    Off,
    /// The secret is masked, and nothing else is changed.
    Mask,
    /// The message waits for a moderator.
    Hold,
    /// The message is refused.
    Reject,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            card: Action::Mask,
            api_key: Action::Mask,
            private_key: Action::Reject,
            jwt: Action::Mask,
            email: Action::Off,
            phone: Action::Off,
            keep: 4,
            code: Code::new(461).expect("a plugin's code"),
        }
    }
}
