//! A place in a room's timeline.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// Which incarnation of a room's timeline an offset belongs to: the number of the generation in which it began.
///
/// On every wire it is a zero-padded decimal string, so that epochs also sort as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016}", self.0)
    }
}

/// The text is no epoch: not a decimal number.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an epoch")]
pub struct InvalidEpoch(String);

impl FromStr for Epoch {
    type Err = InvalidEpoch;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| InvalidEpoch(text.to_owned()))
    }
}

impl Serialize for Epoch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Epoch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A place in a room's timeline. Offsets count 1, 2, 3 … without a gap inside an epoch; cursors order as
/// (epoch, offset), the same from Redis to PostgreSQL. Offset 0 is the place before the first event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cursor {
    /// The incarnation of the timeline.
    pub epoch: Epoch,
    /// The place in it.
    pub offset: u64,
}

impl Cursor {
    /// The cursor (`epoch`, `offset`).
    pub fn new(epoch: u64, offset: u64) -> Self {
        Self { epoch: Epoch(epoch), offset }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.epoch.0, self.offset)
    }
}
