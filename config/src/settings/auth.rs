//! Who may connect: the keys that check tokens, and what a token must say.

use crate::human::{HIDDEN, duration};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Who may connect.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// The secret of HS256 tokens. Prefer `hmac_secret_file` or the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hmac_secret: Option<String>,
    /// A file that holds the secret of HS256 tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hmac_secret_file: Option<PathBuf>,
    /// The secret before: tokens signed with it are still taken, and none is made with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hmac_secret_previous: Option<String>,
    /// A file that holds the secret before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hmac_secret_previous_file: Option<PathBuf>,
    /// Files with public keys in PEM, one key a file: RSA, P-256, P-384 or Ed25519.
    pub public_key_files: Vec<PathBuf>,
    /// Where the issuer publishes its public keys, as a JWKS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// A file with the authorities, in PEM, that vouch for the host of `jwks_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_ca_file: Option<PathBuf>,
    /// How often the keys at `jwks_url` are read again.
    #[serde(with = "duration")]
    pub jwks_refresh: Duration,
    /// Whose tokens are taken: the claim `iss` must be one of these. Empty: it is not looked at.
    pub issuer: Vec<String>,
    /// For whom tokens must be: the claim `aud` must name one of these. Empty: it is not looked at.
    pub audience: Vec<String>,
    /// Whether a token without the claim `exp`, which would be valid for ever, is refused.
    pub require_exp: bool,
    /// Development only: anyone may connect without a token, and say who they are in `connect.data.user`.
    pub insecure: bool,
    /// Whether a token without a `sub` lets in a guest, who has a name of its own for each session.
    pub anonymous: bool,
    /// The room that every user is in from the beginning, and nobody else may enter: it ends in `#{user}`. Guests have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personal_room: Option<String>,
    /// After a token's end, a connection's or a room's, the client has this long to bring a new one.
    #[serde(with = "duration")]
    pub refresh_grace: Duration,
    /// The exact `Origin`s of pages that may connect. Empty: only pages served by this hub itself.
    pub allowed_origins: Vec<String>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            hmac_secret: None,
            hmac_secret_file: None,
            hmac_secret_previous: None,
            hmac_secret_previous_file: None,
            public_key_files: Vec::new(),
            jwks_url: None,
            jwks_ca_file: None,
            jwks_refresh: Duration::from_secs(600),
            issuer: Vec::new(),
            audience: Vec::new(),
            require_exp: false,
            insecure: false,
            anonymous: false,
            personal_room: None,
            refresh_grace: Duration::from_secs(25),
            allowed_origins: Vec::new(),
        }
    }
}

impl Auth {
    /// Whether there is any key to check tokens with.
    pub fn has_keys(&self) -> bool {
        self.has_secret() || !self.public_key_files.is_empty() || self.jwks_url.is_some()
    }

    /// Whether there is a secret, given or in a file.
    pub fn has_secret(&self) -> bool {
        self.hmac_secret.is_some() || self.hmac_secret_file.is_some()
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("hmac_secret", &self.hmac_secret.as_ref().map(|_| HIDDEN))
            .field("hmac_secret_file", &self.hmac_secret_file)
            .field("hmac_secret_previous", &self.hmac_secret_previous.as_ref().map(|_| HIDDEN))
            .field("hmac_secret_previous_file", &self.hmac_secret_previous_file)
            .field("public_key_files", &self.public_key_files)
            .field("jwks_url", &self.jwks_url)
            .field("jwks_ca_file", &self.jwks_ca_file)
            .field("jwks_refresh", &self.jwks_refresh)
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("require_exp", &self.require_exp)
            .field("insecure", &self.insecure)
            .field("anonymous", &self.anonymous)
            .field("personal_room", &self.personal_room)
            .field("refresh_grace", &self.refresh_grace)
            .field("allowed_origins", &self.allowed_origins)
            .finish()
    }
}
