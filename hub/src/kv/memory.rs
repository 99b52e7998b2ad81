//! What plugins remember in an embedded hub: in this process, until it ends.

use super::{COUNTER_BYTES, Error, Owner, Space};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// All spaces. Cheap to clone; every clone is the same memory.
#[derive(Clone, Default)]
pub struct Memory {
    spaces: Arc<Mutex<HashMap<Arc<str>, Kept>>>,
    clock: Clock,
}

/// What time it is.
#[derive(Clone, Default)]
enum Clock {
    /// That of the machine.
    #[default]
    Real,
    /// So many milliseconds after the moment at which it was made.
    Set(Instant, Arc<AtomicU64>),
}

impl Clock {
    fn now(&self) -> Instant {
        match self {
            Self::Real => Instant::now(),
            // Half a lifetime of the machine's own clock: more than any date, and no overflow.
            Self::Set(begin, ms) => *begin + Duration::from_millis(ms.load(Ordering::Relaxed).min(u64::MAX >> 20)),
        }
    }
}

/// What one space holds.
#[derive(Default)]
struct Kept {
    entries: HashMap<Arc<str>, Entry>,
    /// When each key ends, the next first.
    ends: BTreeSet<(Instant, Arc<str>)>,
    bytes: usize,
    /// How many keys and bytes count for each sender.
    owned: HashMap<Owner, (usize, usize)>,
}

struct Entry {
    owner: Owner,
    value: Vec<u8>,
    /// What it counts for.
    bytes: usize,
    until: Instant,
}

impl Memory {
    /// One that goes by this clock, in milliseconds.
    pub fn by_clock(clock: Arc<AtomicU64>) -> Self {
        Self { spaces: Arc::default(), clock: Clock::Set(Instant::now(), clock) }
    }

    pub(super) fn get(&self, space: &Space, key: &str) -> Option<Vec<u8>> {
        self.within(space, |kept, _| kept.entries.get(key).map(|entry| entry.value.clone()))
    }

    pub(super) fn set(&self, space: &Space, key: &str, value: Vec<u8>, life: Duration) -> Result<(), Error> {
        self.within(space, |kept, now| {
            let bytes = key.len() + value.len();
            kept.put(space, key, Entry { owner: space.owner, value, bytes, until: now + life })
        })
    }

    pub(super) fn delete(&self, space: &Space, key: &str) {
        self.within(space, |kept, _| kept.remove(key));
    }

    pub(super) fn increment(&self, space: &Space, key: &str, by: i64, life: Duration) -> Result<i64, Error> {
        self.within(space, |kept, now| {
            if let Some(entry) = kept.entries.get_mut(key) {
                let sum = number(&entry.value).and_then(|old| old.checked_add(by)).ok_or(Error::NotANumber)?;
                entry.value = sum.to_string().into_bytes();
                return Ok(sum);
            }
            let value = by.to_string().into_bytes();
            let bytes = key.len() + COUNTER_BYTES;
            kept.put(space, key, Entry { owner: space.owner, value, bytes, until: now + life })?;
            Ok(by)
        })
    }

    /// Works in a space, after what has expired there is gone.
    fn within<T>(&self, space: &Space, work: impl FnOnce(&mut Kept, Instant) -> T) -> T {
        let now = self.clock.now();
        let mut spaces = self.spaces.lock();
        if !spaces.contains_key(&space.name) {
            spaces.insert(space.name.clone(), Kept::default());
        }
        let kept = spaces.get_mut(&space.name).expect("it was put there");
        kept.expire(now);
        work(kept, now)
    }
}

impl Kept {
    fn expire(&mut self, now: Instant) {
        while let Some((_, key)) = self.ends.first().filter(|(until, _)| *until <= now) {
            let key = Arc::clone(key);
            self.remove(&key);
        }
    }

    fn put(&mut self, space: &Space, key: &str, mut entry: Entry) -> Result<(), Error> {
        let old = self.entries.get(key).map(|old| (old.bytes, old.owner));
        // Whose a key is does not change by others' writing to it.
        entry.owner = old.map_or(entry.owner, |(_, owner)| owner);
        let more = usize::from(old.is_none());
        let old_bytes = old.map_or(0, |(bytes, _)| bytes);
        let (own_keys, own_bytes) = self.owned.get(&entry.owner).copied().unwrap_or_default();
        let fits = self.entries.len() + more <= space.keys
            && self.bytes - old_bytes + entry.bytes <= space.bytes
            && own_keys + more <= space.sender_keys()
            && own_bytes - old_bytes + entry.bytes <= space.sender_bytes();
        if !fits {
            return Err(Error::Full);
        }
        self.remove(key);
        let key: Arc<str> = key.into();
        self.bytes += entry.bytes;
        let owned = self.owned.entry(entry.owner).or_default();
        *owned = (owned.0 + 1, owned.1 + entry.bytes);
        self.ends.insert((entry.until, Arc::clone(&key)));
        self.entries.insert(key, entry);
        Ok(())
    }

    fn remove(&mut self, key: &str) {
        let Some((key, entry)) = self.entries.remove_entry(key) else { return };
        self.bytes -= entry.bytes;
        if let Some(owned) = self.owned.get_mut(&entry.owner) {
            *owned = (owned.0 - 1, owned.1 - entry.bytes);
            if owned.0 == 0 {
                self.owned.remove(&entry.owner);
            }
        }
        self.ends.remove(&(entry.until, key));
    }
}

/// Reads a counter as Redis does: in its one normal form.
fn number(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    text.parse::<i64>().ok().filter(|number| number.to_string() == text)
}
