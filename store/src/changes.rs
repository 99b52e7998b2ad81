//! What a batch asks of the store, and what it leaves there.

use crate::Entry;
use crate::columns::from_row;
use crate::fold::{Fate, Projections, place, trail_text};
use crate::row::{UNREADABLE, annotations_text, number};
use crate::span::Span;
use confab_protocol::record::RECORD_VERSION;
use confab_protocol::{Cursor, EventId, Key, Record, Room, UserId};
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

/// Ids and keys that the store may know, without repetitions.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    pub ids: HashSet<(Room, EventId)>,
    pub keys: HashSet<(Room, UserId, Key)>,
}

/// The spans of the (room, epoch)s that a batch touches, in the order in which they are locked.
pub(crate) type Spans = BTreeMap<(Room, i64), Span>;

from_row! {
    /// A row of `events` as the store knows it: where an id was seen and what stands for it.
    pub(crate) struct IdRow {
        pub room: String,
        pub epoch: i64,
        pub seq: i64,
        pub id: Uuid,
        pub stands: Uuid,
        pub unreadable: bool,
    }
}

from_row! {
    /// A key that was used.
    pub(crate) struct UsedKeyRow {
        pub room: String,
        pub sender: String,
        pub key: String,
        pub digest: String,
        pub id: Uuid,
    }
}

from_row! {
    /// How far a (room, epoch) is known.
    pub(crate) struct SpanRow {
        pub room: String,
        pub epoch: i64,
        pub through: i64,
        pub top: i64,
        pub floor: i64,
    }
}

/// A row of `events` on its way in.
#[derive(Default)]
pub(crate) struct NewRow<'a> {
    pub room: &'a str,
    pub epoch: i64,
    pub seq: i64,
    pub id: Uuid,
    pub kind: &'static str,
    pub sender: Option<&'a str>,
    pub key: Option<&'a str>,
    pub digest: Option<&'a str>,
    pub at: Option<i64>,
    pub body: Option<&'a str>,
    pub target: Option<Uuid>,
    pub thread: Option<Uuid>,
    pub annotations: Option<String>,
    pub trail: Option<String>,
    pub client: Option<&'a str>,
    pub info: Option<&'a str>,
    pub version: i32,
    pub stands: bool,
    pub duplicate_of: Option<Uuid>,
    pub reason: Option<&'a str>,
}

impl<'a> NewRow<'a> {
    /// The row that an entry of this fate leaves, if any.
    pub fn of(entry: &'a Entry, fate: Fate) -> Option<Self> {
        match (entry, fate) {
            (_, Fate::Copy | Fate::Nowhere) => None,
            (Entry::Record(record), Fate::Again { of, .. }) => Some(Self::readable(record, Some(of.0))),
            (Entry::Record(record), _) => Some(Self::readable(record, None)),
            (Entry::Unreadable { place, reason }, _) => place.as_ref().map(|(room, cursor, id)| Self {
                room: room.as_str(),
                epoch: number(cursor.epoch.0),
                seq: number(cursor.offset),
                id: id.0,
                kind: UNREADABLE,
                reason: Some(reason),
                ..Self::default()
            }),
        }
    }

    fn readable(record: &'a Record, duplicate_of: Option<Uuid>) -> Self {
        let event = &record.event;
        let (epoch, seq) = place(record);
        Self {
            room: event.room.as_str(),
            epoch,
            seq,
            id: event.id.0,
            kind: event.kind.as_str(),
            sender: Some(event.sender.user.as_str()),
            key: Some(event.key.as_str()),
            digest: Some(&event.digest),
            at: Some(number(event.at)),
            body: Some(event.body.as_str()),
            target: event.target.map(|id| id.0),
            thread: event.thread.map(|id| id.0),
            annotations: annotations_text(&event.annotations),
            trail: trail_text(record),
            client: event.sender.client.as_deref(),
            info: event.sender.info.as_ref().map(|info| info.as_str()),
            version: RECORD_VERSION.cast_signed(),
            stands: duplicate_of.is_none(),
            duplicate_of,
            reason: None,
        }
    }
}

/// Everything that a batch writes besides positions.
pub(crate) struct Changes<'a> {
    /// Places whose unreadable row gives way to a readable copy.
    pub replaced: Vec<(Room, Cursor, EventId)>,
    /// New rows of `events`.
    pub rows: Vec<NewRow<'a>>,
    pub projections: Projections,
    pub spans: Spans,
}
