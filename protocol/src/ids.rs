//! Names: of rooms, users, events, and the client's own name for a send.

use crate::Millis;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

/// The longest name of a room, in bytes.
pub const ROOM_BYTES_MAX: usize = 255;
/// The longest user id, in bytes.
pub const USER_BYTES_MAX: usize = 255;
/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 128;

/// A name that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {why}")]
pub struct InvalidName {
    what: &'static str,
    why: &'static str,
}

fn check(what: &'static str, text: &str, bytes_max: usize) -> Result<(), InvalidName> {
    let why = if text.is_empty() {
        "is empty"
    } else if text.len() > bytes_max {
        "is too long"
    } else if text.chars().any(char::is_control) {
        "contains a control character"
    } else {
        return Ok(());
    };
    Err(InvalidName { what, why })
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the name: not empty, not longer than its limit in bytes, no control characters.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
                check($what, text.as_ref(), $max)?;
                Ok(Self(text.as_ref().into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name!(
    /// The name of a room: where people talk; the unit of order and of fan-out. Segments are divided by `:`.
    Room, "room name", ROOM_BYTES_MAX
);
name!(
    /// A person, by the id that the token's `sub` gave.
    UserId, "user id", USER_BYTES_MAX
);
name!(
    /// The client's own name for a send: the same (room, sender, key) is said once, so that a retry is safe.
    Key, "key", KEY_BYTES_MAX
);

impl Room {
    /// The users whose personal room this is: those named, divided by commas, after the last `#`. `None` where there
    /// is no `#`.
    ///
    /// Nobody else may join, read or speak there, unless a token names the room.
    pub fn users(&self) -> Option<impl Iterator<Item = &str>> {
        self.0.rsplit_once('#').map(|(_, users)| users.split(','))
    }
}

impl Key {
    /// What the keys begin with that hubs make. No client's own may: such a key says when it was made, and is believed.
    pub const MADE_BY_HUB: &str = "hub:";

    /// A key made by the hub for a send that came without one.
    pub fn fresh() -> Self {
        Self(format!("{}{}", Self::MADE_BY_HUB, Uuid::now_v7()).into())
    }

    /// When a hub made it, in milliseconds since 1970; `None` for every other key, whatever it looks like.
    pub fn made_at(&self) -> Option<Millis> {
        let uuid = Uuid::parse_str(self.as_str().strip_prefix(Self::MADE_BY_HUB)?).ok()?;
        let (seconds, nanos) = uuid.get_timestamp()?.to_unix();
        Some(seconds * 1000 + u64::from(nanos / 1_000_000))
    }
}

/// The id of an event: a UUIDv7, made by the hub that stamped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId(pub Uuid);

impl EventId {
    /// A new id, younger than every earlier one of this process.
    pub fn fresh() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for EventId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
