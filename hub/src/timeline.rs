//! The timeline: a room's order and hot window, and the relay that tells every hub.
//!
//! Appending is one atomic step: dedupe, next offset, hot window, pending entry, relay.

mod counters;
mod memory;
mod redis;
mod relays;
mod weight;

pub use counters::Counters;
pub use memory::{Commit, Memory, MemoryOptions, Past};
pub use redis::{JournalAccess, Redis, RedisOptions, WaitsFor, WindowOf};
pub use weight::{EVENT_OVERHEAD, weigh};

use confab_protocol::signal::PresenceChange;
use confab_protocol::{
    Body, Cursor, Epoch, Event, EventId, Key, Kind, Present, Record, Refusal, Room, Signal, Trail, UserId,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of events that a room's hot window holds, roughly; the newest event stays, however large it is.
pub const WINDOW_BYTES_MAX: usize = 8 << 20;

/// What went wrong with something that the timeline was given to work with (journal or store).
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The back-ends of the timeline. Cheap to clone; every clone is the same timeline.
#[derive(Clone)]
pub enum Timeline {
    /// Embedded: one process, over the committed past.
    Memory(Memory),
    /// Cluster: any number of hubs over one Redis.
    Redis(Redis),
}

impl Timeline {
    /// What a key is known for; `None` if it is new.
    ///
    /// # Errors
    /// [`Error::Unavailable`], also while a new generation does not yet know the keys of the one before.
    pub async fn lookup(&self, room: &Room, sender: &UserId, key: &Key) -> Result<Option<Known>, Error> {
        match self {
            Self::Memory(memory) => memory.lookup(room, sender, key).await,
            Self::Redis(redis) => Box::pin(redis.lookup(room, sender, key)).await,
        }
    }

    /// Gives an event its place, in one atomic step with dedupe, hot window, pending entry and relay.
    ///
    /// A known key answers [`Appended::Known`], whatever the draft was: the caller compares digests. The event that was
    /// placed is the one in the answer: where a lost generation knew the same draft by an earlier id it has that id.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if nothing happened, [`Error::Unknown`] if it may have happened.
    pub async fn append(&self, entry: &Entry) -> Result<Appended, Error> {
        self.append_in_turn(entry, None, || ()).await
    }

    /// As [`Self::append`], and calls `entered` as soon as everything that is appended from then on comes after this
    /// entry, where that is certain before the answer: many of one sender then share a commit. `only_in` is the generation in
    /// which it may be placed, if not in every one.
    ///
    /// # Errors
    /// As [`Self::append`], and [`Error::NewGeneration`].
    pub async fn append_in_turn(
        &self,
        entry: &Entry,
        only_in: Option<u64>,
        entered: impl FnOnce() + Send,
    ) -> Result<Appended, Error> {
        match self {
            Self::Memory(memory) => memory.append(entry, entered).await,
            Self::Redis(redis) => Box::pin(redis.append(entry, only_in, false)).await,
        }
    }

    /// Gives an event a place in the present generation whose place in an earlier one is not known there: same id, same key.
    /// It is taken also while the generation does not yet know the keys of the one before: that one has looked its key up.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn append_again(&self, entry: &Entry) -> Result<Appended, Error> {
        match self {
            Self::Memory(memory) => memory.append(entry, || ()).await,
            Self::Redis(redis) => Box::pin(redis.append(entry, None, true)).await,
        }
    }

    /// Removes the pending entry of an event whose record is in the journal, and marks its key as journaled. Asking
    /// twice is harmless.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Unknown`]: ask again.
    pub async fn settle(&self, pending: &Pending) -> Result<Settled, Error> {
        match self {
            Self::Memory(_) => Ok(Settled::Done),
            Self::Redis(redis) => Box::pin(redis.settle(pending)).await,
        }
    }

    /// Whether events are settled after they were placed; else an append that is answered has done both.
    pub fn settles(&self) -> bool {
        matches!(self, Self::Redis(_))
    }

    /// Whether the sender of an event whose record is in the journal may be told so although its pending entry could not be
    /// removed: no other order can have begun without knowing its key.
    pub fn may_answer_for(&self, pending: &Pending) -> bool {
        match self {
            Self::Memory(_) => true,
            Self::Redis(redis) => redis.may_answer_for(pending),
        }
    }

    /// Keeps a refusal for the dedupe window, unless the key is known already: then says what for.
    ///
    /// Only what was *said* of a draft is kept: a plugin's refusal, a hold, a fault's policy. Other refusals are about
    /// the moment: they are not kept, and the answer is `None`.
    ///
    /// # Errors
    /// As [`Self::lookup`].
    pub async fn remember(
        &self,
        room: &Room,
        sender: &UserId,
        key: &Key,
        digest: &str,
        refusal: &Refusal,
    ) -> Result<Option<Known>, Error> {
        if !matches!(refusal, Refusal::Plugin { .. } | Refusal::Held { .. } | Refusal::PluginFault { .. }) {
            return Ok(None);
        }
        match self {
            Self::Memory(memory) => memory.remember(room, sender, key, digest, refusal).await,
            Self::Redis(redis) => Box::pin(redis.remember(room, sender, key, digest, refusal)).await,
        }
    }

    /// A room's position and events of its hot window, as they stand at one moment.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn read(&self, room: &Room, range: Range) -> Result<Window, Error> {
        match self {
            Self::Memory(memory) => memory.read(room, range).await,
            Self::Redis(redis) => Box::pin(redis.read(room, range)).await,
        }
    }

    /// An event of the hot window by its id; a deleted one comes without its body.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn find(&self, room: &Room, id: EventId) -> Result<Option<Arc<Record>>, Error> {
        match self {
            Self::Memory(memory) => memory.find(room, id).await,
            Self::Redis(redis) => Box::pin(redis.find(room, id)).await,
        }
    }

    /// Whether the store has everything that was acknowledged in epochs before this one, the one that goes on. Where it has
    /// no row for a place of an earlier one, none is to come that anybody has a receipt for.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn earlier_are_stored(&self, epoch: Epoch) -> Result<bool, Error> {
        match self {
            // An event and its row are one commit.
            Self::Memory(_) => Ok(true),
            Self::Redis(redis) => Box::pin(redis.earlier_are_stored(epoch)).await,
        }
    }

    /// Blanks those of these records, of one room, that were deleted lately: the store does so only when it has the deletions.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn blank_deleted(&self, room: &Room, records: &mut [Record]) -> Result<(), Error> {
        let with_body = || records.iter().filter(|record| !record.event.body.is_null()).map(|record| &record.event);
        let ids: Vec<EventId> = with_body().map(|event| edits(event).unwrap_or(event.id)).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let deleted = match self {
            Self::Memory(memory) => memory.deleted(room, &ids).await?,
            Self::Redis(redis) => Box::pin(redis.deleted(room, &ids)).await?,
        };
        for record in records.iter_mut().filter(|_| !deleted.is_empty()) {
            if deleted.contains(&edits(&record.event).unwrap_or(record.event.id)) {
                record.event.body = Body::null();
                record.event.annotations.clear();
            }
        }
        Ok(())
    }

    /// Begins to hear a room. Returns only when the subscription is live: what is appended from now on is heard.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: the room is not heard.
    pub async fn subscribe(&self, room: &Room) -> Result<(), Error> {
        match self {
            Self::Memory(memory) => {
                memory.subscribe(room);
                Ok(())
            }
            Self::Redis(redis) => Box::pin(redis.subscribe(room)).await,
        }
    }

    /// Stops hearing a room. What is in the relay's queue already may still arrive.
    pub async fn unsubscribe(&self, room: &Room) {
        match self {
            Self::Memory(memory) => memory.unsubscribe(room),
            Self::Redis(redis) => Box::pin(redis.unsubscribe(room)).await,
        }
    }

    /// Notes who came and went, and tells every hub that hears the room what is to be announced. Saying it again is
    /// harmless; an entry that is not said again ends after [`LISTENING_FOR`].
    ///
    /// # Errors
    /// [`Error::Unavailable`]: some of it, or nothing, has happened.
    pub async fn attend(&self, changes: &[PresenceUpdate]) -> Result<(), Error> {
        match self {
            Self::Memory(memory) => {
                memory.attend(changes);
                Ok(())
            }
            Self::Redis(redis) => Box::pin(redis.attend(changes)).await,
        }
    }

    /// Who listens to a room, on any hub: all, or, where they are many, about `max` of them, and how many there are.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn listeners(&self, room: &Room, max: usize) -> Result<Listeners, Error> {
        match self {
            Self::Memory(memory) => Ok(memory.listeners(room, max)),
            Self::Redis(redis) => Box::pin(redis.listeners(room, max)).await,
        }
    }

    /// Tells every hub that it is for, this one too: [`Relay::Signal`]. One for a room is for the hubs that hear it.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: perhaps nobody was told. [`Error::Refused`]: it is larger than a signal may be.
    pub async fn tell(&self, signal: &Signal) -> Result<(), Error> {
        match self {
            Self::Memory(memory) => {
                memory.tell(signal);
                Ok(())
            }
            Self::Redis(redis) => Box::pin(redis.tell(signal)).await,
        }
    }

    /// Whether rooms can be appended to and heard at the moment, as far as is known.
    pub fn healthy(&self) -> bool {
        match self {
            Self::Memory(_) => true,
            Self::Redis(redis) => redis.healthy(),
        }
    }

    /// What has been counted since the start.
    pub fn counters(&self) -> &Counters {
        match self {
            Self::Memory(memory) => memory.counters(),
            Self::Redis(redis) => redis.counters(),
        }
    }

    /// The orderly end: nothing new is taken, what was begun is finished, leases are given back, tasks have ended.
    pub async fn close(&self) {
        match self {
            Self::Memory(memory) => memory.close().await,
            Self::Redis(redis) => redis.close().await,
        }
    }
}

/// How long somebody counts as listening, unless it is said again.
pub const LISTENING_FOR: Duration = Duration::from_secs(60);

/// Who listens to a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listeners {
    /// All of them, or, where they are many, some; by session.
    pub some: BTreeMap<String, Present>,
    /// How many there are.
    pub total: usize,
}

/// That a session came into a room or went, and what of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceUpdate {
    /// Where.
    pub room: Room,
    /// Who.
    pub who: Present,
    /// It came; otherwise it went.
    pub here: bool,
    /// Those who listen to the room can be asked for.
    pub listed: bool,
    /// Listeners are told.
    pub announced: bool,
}

impl PresenceUpdate {
    /// What listeners are told, if they are.
    fn signal(&self) -> Option<Signal> {
        let change = PresenceChange { who: self.who.clone(), here: self.here };
        self.announced.then(|| Signal::to_room(self.room.clone(), change))
    }
}

/// What went wrong with the timeline.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was started: it may be tried again.
    #[error("could not reach the timeline: {0}")]
    Unavailable(String),
    /// Another generation has begun than the one that was asked for: nothing happened there.
    #[error("another generation has begun")]
    NewGeneration,
    /// The step may have happened or not; only asking again with the same key tells.
    #[error("the timeline did not answer: {0}")]
    Unknown(String),
    /// The journal refused the commit (embedded: the commit is part of the step). Nothing happened.
    #[error("could not commit")]
    Journal(#[source] Arc<crate::journal::Error>),
    /// The timeline cannot be used as it is configured: trying again does not help.
    #[error("the timeline cannot be used: {0}")]
    Refused(String),
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
    /// It ends behind the event with which they have so many bytes, roughly.
    pub bytes: usize,
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
    /// Something of the moment. It has no place in the order, and may be lost.
    Signal(Arc<Signal>),
    /// Something may have been lost: compare every room by offset.
    Compare,
}

/// The record as it is served once its event, or what it edits, has been deleted: the body is gone, the place stays.
fn blanked(record: &Record) -> Arc<Record> {
    let mut record = record.clone();
    record.event.body = Body::null();
    Arc::new(record)
}

/// The event that a delete deletes.
fn deletes(event: &Event) -> Option<EventId> {
    event.target.filter(|_| event.kind == Kind::Delete)
}

/// The event that an edit edits.
fn edits(event: &Event) -> Option<EventId> {
    event.target.filter(|_| event.kind == Kind::Edit)
}
