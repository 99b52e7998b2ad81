//! What the store already knows of a batch's ids, keys and places, and what that makes of each of its entries.

use crate::Entry;
use confab_protocol::{Cursor, EventId, Key, Room, UserId};
use std::collections::HashMap;

/// What becomes of one entry of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The very same record is here: nothing changes.
    Copy,
    /// An event that was not known.
    New,
    /// Its id, or its key with the same draft, was known: it keeps its place and points to the event that stands for it.
    Again {
        /// The event that stands.
        of: EventId,
        /// Its id was not known before, and is another name of that event from now on.
        alias: bool,
    },
    /// It cannot be read; its place is kept.
    Unreadable,
    /// It cannot be read, and nobody knows where it belongs.
    Nowhere,
}

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Readable,
    /// A row in the store.
    Unreadable,
    /// An entry of this batch.
    UnreadableEntry(usize),
}

/// A draft as its sender names it: room, sender, key and digest. The same key with another digest is another draft.
pub(crate) type DraftName = (Room, UserId, Key, String);

/// Ids, keys and places that are taken. The first to take one keeps it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    places: HashMap<(Room, Cursor, EventId), Standing>,
    ids: HashMap<(Room, EventId), EventId>,
    keys: HashMap<DraftName, EventId>,
}

impl Known {
    /// Learns of a row in the store; `of` is the event that stands for it.
    pub fn row(&mut self, room: Room, cursor: Cursor, id: EventId, of: EventId) {
        self.ids.insert((room.clone(), id), of);
        self.places.insert((room, cursor, id), Standing::Readable);
    }

    /// Learns of a row that only keeps a place.
    pub fn unreadable_row(&mut self, room: Room, cursor: Cursor, id: EventId) {
        self.places.insert((room, cursor, id), Standing::Unreadable);
    }

    /// Learns which event a draft with a key became.
    pub fn key(&mut self, draft: DraftName, id: EventId) {
        self.keys.insert(draft, id);
    }

    /// The event that stands for `id`; `id` itself as far as is known.
    pub fn resolve(&self, room: &Room, id: EventId) -> EventId {
        self.ids.get(&(room.clone(), id)).copied().unwrap_or(id)
    }

    /// Decides in the batch's order, which is the journal's. Returns the fates, and which rows of the store give way to
    /// a readable copy of the same record.
    pub fn judge(&mut self, batch: &[Entry]) -> (Vec<Fate>, Vec<usize>) {
        let mut fates = Vec::with_capacity(batch.len());
        let mut replacing = Vec::new();
        for (n, entry) in batch.iter().enumerate() {
            let fate = match entry {
                Entry::Unreadable { place: None, .. } => Fate::Nowhere,
                Entry::Unreadable { place: Some(place), .. } => {
                    if self.places.contains_key(place) {
                        Fate::Copy
                    } else {
                        self.places.insert(place.clone(), Standing::UnreadableEntry(n));
                        Fate::Unreadable
                    }
                }
                Entry::Record(record) => {
                    let place = (record.event.room.clone(), record.cursor, record.event.id);
                    match self.places.insert(place, Standing::Readable) {
                        Some(Standing::Readable) => Fate::Copy,
                        before => {
                            match before {
                                Some(Standing::Unreadable) => replacing.push(n),
                                Some(Standing::UnreadableEntry(earlier)) => fates[earlier] = Fate::Copy,
                                Some(Standing::Readable) | None => {}
                            }
                            self.take(record)
                        }
                    }
                }
            };
            fates.push(fate);
        }
        (fates, replacing)
    }

    fn take(&mut self, record: &confab_protocol::Record) -> Fate {
        let event = &record.event;
        let id = (event.room.clone(), event.id);
        if let Some(of) = self.ids.get(&id) {
            return Fate::Again { of: *of, alias: false };
        }
        let key = (event.room.clone(), event.sender.user.clone(), event.key.clone(), event.digest.clone());
        if let Some(of) = self.keys.get(&key).copied() {
            self.ids.insert(id, of);
            return Fate::Again { of, alias: true };
        }
        self.ids.insert(id, event.id);
        self.keys.insert(key, event.id);
        Fate::New
    }
}
