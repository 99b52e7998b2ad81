//! What plugins remember: a space for each plugin, of keys that all expire, in memory or in Redis.
//!
//! It is for moderation, not the truth. In memory it is forgotten when the hub ends; in Redis, when Redis begins anew or is
//! failed over to a server that had not heard of it yet. A space that is full says so, and forgets nothing for it: who can
//! fill a space could otherwise make a plugin forget what it knows of them. Nor can one sender fill it for others: a key counts
//! for the sender over whose event it was made, and each has only a part of the space.

mod memory;
mod redis;

pub use memory::Memory;
pub use redis::{Dial, Redis};

use std::sync::Arc;
use std::time::Duration;

/// The longest key, in bytes.
pub const KEY_MAX: usize = 256;

/// The largest value, in bytes.
pub const VALUE_MAX: usize = 64 << 10;

/// What a counter counts for, in bytes, beside its key: its longest text.
const COUNTER_BYTES: usize = 20;

/// A sender's part of a space is this part of its keys and bytes …
const SENDER_PART: usize = 50;

/// … but no less than so many keys, where the space has them.
const SENDER_KEYS: usize = 64;

/// … and no less than so many bytes, which are a few of the largest values.
const SENDER_BYTES: usize = 256 << 10;

/// How long a key is kept where nobody says.
const TTL: Duration = Duration::from_secs(24 * 3600);

/// The longest that a key is kept.
const TTL_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Where plugins remember. Cheap to clone; every clone is the same memory.
#[derive(Clone)]
pub enum Kv {
    /// Embedded: in this process.
    Memory(Memory),
    /// Cluster: shared by all hubs.
    Redis(Redis),
}

impl Default for Kv {
    fn default() -> Self {
        Self::Memory(Memory::default())
    }
}

impl Kv {
    /// Memory for a trial: what is kept expires when this clock, in milliseconds, says so.
    pub fn by_clock(clock: std::sync::Arc<std::sync::atomic::AtomicU64>) -> Self {
        Self::Memory(Memory::by_clock(clock))
    }
}

/// One plugin's own part, and how much it may keep there. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// The plugin's name: letters, digits, `-` and `_`.
    pub name: Arc<str>,
    /// The most keys.
    pub keys: usize,
    /// The most bytes of keys and values together.
    pub bytes: usize,
    /// For whom new keys count.
    pub owner: Owner,
}

/// A sender, as keys remember whose they are: by a part of a hash, the same on every hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner(u64);

impl Owner {
    /// The sender of this name.
    pub fn of(user: &str) -> Self {
        let mut first = [0; 8];
        first.copy_from_slice(&blake3::hash(user.as_bytes()).as_bytes()[..8]);
        Self(u64::from_le_bytes(first))
    }
}

impl Space {
    /// The most keys of one sender.
    fn sender_keys(&self) -> usize {
        (self.keys / SENDER_PART).max(SENDER_KEYS.min(self.keys))
    }

    /// The most bytes of one sender's keys and values.
    fn sender_bytes(&self) -> usize {
        (self.bytes / SENDER_PART).max(SENDER_BYTES.min(self.bytes))
    }
}

/// Why it could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The key is empty or too long, or the value is too large.
    #[error("a key has 1 to {KEY_MAX} bytes, a value at most {VALUE_MAX}")]
    TooLarge,
    /// The space is full, or the sender's part of it.
    #[error("the space, or the sender's part of it, is full")]
    Full,
    /// What is there is no counter, or would become too large for one.
    #[error("the value is no counter")]
    NotANumber,
    /// It could not be done now.
    #[error("could not reach what is remembered: {0}")]
    Unavailable(String),
}

impl Kv {
    /// The value under a key.
    pub async fn get(&self, space: &Space, key: &str) -> Result<Option<Vec<u8>>, Error> {
        fits(key, &[])?;
        match self {
            Self::Memory(memory) => Ok(memory.get(space, key)),
            Self::Redis(redis) => redis.get(space, key).await,
        }
    }

    /// Puts a value under a key, for so many milliseconds: 1 to a year; not given, for a day.
    pub async fn set(&self, space: &Space, key: &str, value: Vec<u8>, ttl: Option<u64>) -> Result<(), Error> {
        fits(key, &value)?;
        match self {
            Self::Memory(memory) => memory.set(space, key, value, life(ttl)),
            Self::Redis(redis) => redis.set(space, key, value, life(ttl)).await,
        }
    }

    /// Forgets a key.
    pub async fn delete(&self, space: &Space, key: &str) -> Result<(), Error> {
        fits(key, &[])?;
        match self {
            Self::Memory(memory) => memory.delete(space, key),
            Self::Redis(redis) => return redis.delete(space, key).await,
        }
        Ok(())
    }

    /// Adds to a counter, in one step that nobody comes between, and returns what it is then. The time it is kept counts from
    /// the first addition.
    pub async fn increment(&self, space: &Space, key: &str, by: i64, ttl: Option<u64>) -> Result<i64, Error> {
        fits(key, &[])?;
        match self {
            Self::Memory(memory) => memory.increment(space, key, by, life(ttl)),
            Self::Redis(redis) => redis.increment(space, key, by, life(ttl)).await,
        }
    }
}

fn fits(key: &str, value: &[u8]) -> Result<(), Error> {
    match key.is_empty() || key.len() > KEY_MAX || value.len() > VALUE_MAX {
        true => Err(Error::TooLarge),
        false => Ok(()),
    }
}

fn life(ttl: Option<u64>) -> Duration {
    ttl.map_or(TTL, Duration::from_millis).clamp(Duration::from_millis(1), TTL_MAX)
}
