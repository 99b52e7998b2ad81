//! Why a token is refused: told to operators in the log and by `confab token verify`, and only in a number to whoever shows it.

use super::{Algorithm, name_of};
use crate::quoted::quoted;
use confab_protocol::{Close, Refusal};
use jiff::Timestamp;

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Invalid {
    /// There is none.
    #[error("there is none")]
    Missing,
    /// It is longer than any that is read.
    #[error("it has more than {0} bytes")]
    TooLong(usize),
    /// It is no signed token at all.
    #[error("it cannot be read: {0}")]
    Malformed(String),
    /// No key here checks what its header calls its algorithm.
    #[error("no key here checks tokens signed with {0}")]
    Algorithm(String),
    /// Its header demands what is not known here.
    #[error("its header has `crit`: it demands an extension that is not known here")]
    Critical,
    /// There is a key for its algorithm, but none by its name.
    #[error("no key for {} has the id {kid}", name_of(*algorithm))]
    UnknownKey {
        /// The header's `kid`, quoted.
        kid: String,
        /// The header's `alg`.
        algorithm: Algorithm,
    },
    /// It may be good: the keys could not be read yet.
    #[error("the keys that could check it are not known at the moment")]
    KeysUnavailable,
    /// No key fits.
    #[error("its signature fits no key: it was signed with another key, or changed since")]
    Signature,
    /// A claim is missing, or says something that is no good.
    #[error("claim `{claim}`: {why}")]
    Claim {
        /// Which one.
        claim: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// It ran out.
    #[error("claim `exp`: it expired at {}", moment(*at))]
    Expired {
        /// When, in seconds since 1970.
        at: f64,
    },
    /// The user's tokens of that time were revoked.
    #[error("claim `iat`: the user's tokens issued before {} are revoked", moment(*before as f64 / 1000.0))]
    Revoked {
        /// Which ones, in milliseconds since 1970.
        before: u64,
    },
    /// It names nobody, and guests are not let in.
    #[error("claim `sub`: it names nobody, and `auth.anonymous` is off")]
    Nobody,
    /// A room's token where a connection's is asked for, or the other way round.
    #[error("claim `channel`: {0}")]
    Kind(&'static str),
    /// A room's token for another room, or for another user.
    #[error("claim `{claim}`: it is for {found}, and {wanted} is meant")]
    Foreign {
        /// Which one says so.
        claim: &'static str,
        /// Whom or what it names, quoted.
        found: String,
        /// Whom or what it should name, quoted.
        wanted: String,
    },
}

impl Invalid {
    /// It is for another room or user than the one that is meant.
    pub fn another(claim: &'static str, found: &str, wanted: &str) -> Self {
        Self::Foreign { claim, found: quoted(found).to_string(), wanted: quoted(wanted).to_string() }
    }

    /// A short name, for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::TooLong(_) | Self::Malformed(_) | Self::Critical => "malformed",
            Self::Algorithm(_) => "algorithm",
            Self::UnknownKey { .. } => "unknown_key",
            Self::KeysUnavailable => "keys_unavailable",
            Self::Signature => "signature",
            Self::Claim { .. } | Self::Nobody => "claim",
            Self::Expired { .. } => "expired",
            Self::Revoked { .. } => "revoked",
            Self::Kind(_) | Self::Foreign { .. } => "foreign",
        }
    }

    /// The claim that it failed at, if it came so far.
    pub fn claim(&self) -> Option<&'static str> {
        match self {
            Self::Claim { claim, .. } | Self::Foreign { claim, .. } => Some(claim),
            Self::Expired { .. } => Some("exp"),
            Self::Revoked { .. } => Some("iat"),
            Self::Nobody => Some("sub"),
            Self::Kind(_) => Some("channel"),
            _ => None,
        }
    }

    /// What whoever shows it as a connection's token is told.
    pub fn denied(&self) -> Denied {
        match self {
            Self::Expired { .. } | Self::Revoked { .. } => Denied::Refused(Refusal::TokenExpired),
            Self::KeysUnavailable => Denied::Refused(Refusal::KeysUnavailable),
            Self::Nobody => Denied::Closed(Close::PermissionDenied),
            _ => Denied::Closed(Close::InvalidToken),
        }
    }

    /// What whoever shows it as a room's token is told: the session goes on.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Expired { .. } | Self::Revoked { .. } => Refusal::TokenExpired,
            Self::KeysUnavailable => Refusal::KeysUnavailable,
            _ => Refusal::PermissionDenied("the token is not one for this room and user".into()),
        }
    }
}

/// Why a client was not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The command is refused; the client may get another token and try again.
    Refused(Refusal),
    /// The session ends.
    Closed(Close),
}

fn moment(seconds: f64) -> String {
    let time = Timestamp::from_millisecond((seconds * 1000.0) as i64);
    time.map_or_else(|_| format!("second {seconds}"), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
