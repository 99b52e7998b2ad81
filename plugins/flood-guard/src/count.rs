//! What the guard remembers: counters and moments in the plugin's own space, which all hubs share.
//!
//! What it cannot count for want of room is over the limit: whoever fills the space must not get rid of it so. Where what it
//! remembers cannot be reached, the settings say what that means.

use confab_plugin_sdk::kv;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How long somebody counts as known in a room after they were last new.
const KNOWN_MS: u64 = 86_400_000;

/// What counting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many, with this one.
    Is(u64),
    /// There is no room to count any more of this sender's.
    Full,
    /// It cannot be counted now.
    Unavailable,
}

/// Counts one more under what a counter is about.
pub fn count(about: &str, of: impl Hash, window_ms: u64) -> Count {
    match kv::increment(&key(about, of), 1, Some(window_ms)) {
        Ok(count) => Count::Is(u64::try_from(count).unwrap_or(0)),
        Err(kv::Error::Unavailable(_)) => Count::Unavailable,
        Err(_) => Count::Full,
    }
}

/// The moment that is kept under what it is about.
pub fn moment(about: &str, of: impl Hash) -> Option<u64> {
    let bytes = kv::get(&key(about, of)).ok()??;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// Keeps a moment for a while. If it cannot be kept, the next message tries again.
pub fn keep(about: &str, of: impl Hash, at: u64, ttl_ms: Option<u64>) {
    let _ = kv::set(&key(about, of), &at.to_le_bytes(), Some(ttl_ms.unwrap_or(KNOWN_MS)));
}

/// Names of rooms and people may be longer than a key may be, so a key is a hash: two that fall together are counted together,
/// which happens to one pair of thousands of millions.
fn key(about: &str, of: impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    format!("{about}:{:016x}", hasher.finish())
}
