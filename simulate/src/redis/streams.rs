//! Streams: entries in the order of their ids.

use std::collections::BTreeMap;
use std::ops::Bound;

/// The id of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub u64, pub u64);

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl StreamId {
    const MAX: Self = Self(u64::MAX, u64::MAX);

    /// Reads an id; one without its second half gets this one.
    pub fn read(text: &[u8], missing: u64) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        match text.split_once('-') {
            Some((time, number)) => Some(Self(time.parse().ok()?, number.parse().ok()?)),
            None => Some(Self(text.parse().ok()?, missing)),
        }
    }
}

/// Fields and values, one after another.
pub type Fields = Vec<Vec<u8>>;

/// A stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stream {
    entries: BTreeMap<StreamId, Fields>,
    last: StreamId,
}

impl Stream {
    /// Adds an entry, under this id or, without one, the next that the time allows.
    pub fn add(&mut self, id: Option<StreamId>, fields: Fields, now: u64) -> Option<StreamId> {
        let next = if now > self.last.0 { StreamId(now, 0) } else { StreamId(self.last.0, self.last.1 + 1) };
        let id = id.unwrap_or(next);
        if id <= self.last {
            return None;
        }
        self.last = id;
        self.entries.insert(id, fields);
        Some(id)
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keeps the newest so many; answers how many went.
    pub fn trim(&mut self, keep: usize) -> usize {
        let over = self.entries.len().saturating_sub(keep);
        for _ in 0..over {
            self.entries.pop_first();
        }
        over
    }

    /// Removes an entry.
    pub fn remove(&mut self, id: StreamId) -> bool {
        self.entries.remove(&id).is_some()
    }

    /// The entries between two ends, as `XRANGE` writes them.
    pub fn range(&self, from: &[u8], to: &[u8], reverse: bool, most: usize) -> Option<Vec<(StreamId, &Fields)>> {
        let bounds = (end(from, 0)?, end(to, u64::MAX)?);
        if is_empty(&bounds) {
            return Some(Vec::new());
        }
        let found = self.entries.range(bounds).map(|(id, fields)| (*id, fields));
        Some(if reverse { found.rev().take(most).collect() } else { found.take(most).collect() })
    }
}

fn end(text: &[u8], missing: u64) -> Option<Bound<StreamId>> {
    match text {
        b"-" => Some(Bound::Included(StreamId::default())),
        b"+" => Some(Bound::Included(StreamId::MAX)),
        [b'(', rest @ ..] => Some(Bound::Excluded(StreamId::read(rest, missing)?)),
        _ => Some(Bound::Included(StreamId::read(text, missing)?)),
    }
}

/// Whether nothing lies between them: such a range must not be asked of a map.
fn is_empty(bounds: &(Bound<StreamId>, Bound<StreamId>)) -> bool {
    let (Bound::Included(from) | Bound::Excluded(from)) = bounds.0 else { return false };
    let (Bound::Included(to) | Bound::Excluded(to)) = bounds.1 else { return false };
    from > to || (from == to && !matches!(bounds, (Bound::Included(_), Bound::Included(_))))
}
