//! The timeline: a room's order and hot window, and the relay that tells every hub.
//!
//! Appending is one atomic step: dedupe, next offset, hot window, pending entry, relay.

use confab_protocol::{Cursor, Event, EventId, Key, Record, Refusal, Room, Trail, UserId};
use std::sync::Arc;
use std::time::Duration;

/// What went wrong with the timeline.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was started: it may be tried again.
    #[error("could not reach the timeline: {0}")]
    Unavailable(String),
    /// The step may have happened or not; only asking again with the same key tells.
    #[error("the timeline did not answer: {0}")]
    Unknown(String),
    /// The journal refused the commit (embedded: the commit is part of the step). Nothing happened.
    #[error("could not commit")]
    Journal(#[source] Arc<crate::journal::Error>),
    /// The timeline is in a state that it cannot be in.
    #[error("the timeline is damaged: {0}")]
    Damaged(String),
}

/// An approved event on its way into a room.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What happens.
    pub event: Event,
    /// How it was judged.
    pub trail: Trail,
    /// How many events the room's window keeps.
    pub window_events: usize,
    /// How long an idle room's window stays.
    pub window_age: Duration,
}

/// What came of an append.
#[derive(Clone, Debug)]
pub enum Appended {
    /// It has its place, and every hub hears of it.
    Placed(Placed),
    /// The key is known: this is what became of it.
    Known(Known),
}

/// An event that has its place.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The event with its place.
    pub record: Arc<Record>,
    /// What must be settled once the record is in the journal. `None`: it is there already (embedded).
    pub pending: Option<Pending>,
}

/// A place in a bucket's pending stream: an event not yet known to be in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The bucket.
    pub bucket: u16,
    /// The entry's id in the stream.
    pub entry: String,
    /// The generation that it was appended in.
    pub generation: u64,
    /// Room, sender and key: the dedupe entry to mark as journaled.
    pub room: Room,
    /// See `room`.
    pub sender: UserId,
    /// See `room`.
    pub key: Key,
}

/// What became of the removal of a pending entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The entry is gone and the key is marked as journaled.
    Done,
    /// Another generation has begun: append the event again, same id and key.
    Stale,
}

/// What a key is known for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The digest of the draft that came with it.
    pub digest: String,
    /// What became of that draft.
    pub outcome: Outcome,
}

/// What became of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has a place, but is not known to be in the journal: no receipt yet.
    Pending {
        /// The event.
        id: EventId,
        /// Its place.
        cursor: Cursor,
    },
    /// It stands: this is its receipt.
    Journaled {
        /// The event.
        id: EventId,
        /// Its place.
        cursor: Cursor,
    },
    /// A plugin refused it, or it is held.
    Refused(Refusal),
}

/// Which events of the hot window to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Offsets after this one (forwards) or before it (`reverse`); `None`: from the beginning, or the end.
    pub since: Option<u64>,
    /// From new to old.
    pub reverse: bool,
    /// The most events; 0 asks only for the position.
    pub limit: usize,
}

/// What the hot window holds.
#[derive(Clone, Debug)]
pub struct Window {
    /// The room's last place. Offset 0: nothing has happened in this epoch.
    pub top: Cursor,
    /// The oldest offset held in this epoch; `None` if none is.
    pub oldest: Option<u64>,
    /// The events asked for, in order, bodies of deleted ones blanked.
    pub records: Vec<Arc<Record>>,
}

/// What a hub hears from the timeline.
#[derive(Clone, Debug)]
pub enum Relay {
    /// An event, also the hub's own. Per room in order, unless something was lost on the way.
    Event(Arc<Record>),
    /// Something may have been lost: compare every room by offset.
    Compare,
}
