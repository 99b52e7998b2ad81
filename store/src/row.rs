//! Rows of `events`, and the words between columns and the protocol's types.

use crate::columns::from_row;
use crate::{Error, KeyUse};
use confab_protocol::{
    Annotations, Body, Cursor, Event, EventId, InvalidName, Key, Kind, Record, Room, Sender, Trail, UserId,
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// The kind of a row that only keeps the place of a record that could not be read.
pub(crate) const UNREADABLE: &str = "unreadable";

/// What a row takes besides its texts of any length, roughly: names, ids, numbers.
const ROW_OVERHEAD: usize = 256;

/// The columns of [`EventRow`], in its order.
macro_rules! event_columns {
    () => {
        "room, epoch, seq, id, kind, sender, key, digest, at, body, target, thread, annotations, trail, client, info"
    };
}
pub(crate) use event_columns;

from_row! {
    /// A row of `events` on its way out.
    pub(crate) struct EventRow {
        room: String,
        epoch: i64,
        seq: i64,
        id: Uuid,
        kind: String,
        sender: Option<String>,
        key: Option<String>,
        digest: Option<String>,
        at: Option<i64>,
        body: Option<String>,
        target: Option<Uuid>,
        thread: Option<Uuid>,
        annotations: Option<String>,
        trail: Option<String>,
        client: Option<String>,
        info: Option<String>,
    }
}

impl EventRow {
    /// Its place.
    pub fn cursor(&self) -> Cursor {
        cursor(self.epoch, self.seq)
    }

    /// The event's id.
    pub fn id(&self) -> EventId {
        EventId(self.id)
    }

    /// Roughly how many bytes it takes.
    pub fn weight(&self) -> usize {
        let texts = [&self.body, &self.info, &self.annotations, &self.trail];
        ROW_OVERHEAD + texts.into_iter().flatten().map(String::len).sum::<usize>()
    }

    /// The record; `None` if it could not be read when it came.
    pub fn record(self) -> Result<Option<Record>, Error> {
        if self.kind == UNREADABLE {
            return Ok(None);
        }
        let cursor = self.cursor();
        let trail = self.trail.map(|text| json::<Trail>("trail", &text)).transpose()?.unwrap_or_default();
        let event = Event {
            kind: Kind::from_name(&self.kind).ok_or_else(|| bad("kind", &self.kind))?,
            id: EventId(self.id),
            room: name(Room::new(&self.room))?,
            sender: Sender {
                user: name(UserId::new(self.sender.ok_or_else(|| bad("sender", "null"))?))?,
                client: self.client,
                info: self.info.map(body).transpose()?,
            },
            key: name(Key::new(self.key.ok_or_else(|| bad("key", "null"))?))?,
            digest: self.digest.ok_or_else(|| bad("digest", "null"))?,
            at: time(self.at.ok_or_else(|| bad("at", "null"))?),
            body: body(self.body.ok_or_else(|| bad("body", "null"))?)?,
            target: self.target.map(EventId),
            thread: self.thread.map(EventId),
            annotations: annotations(self.annotations)?,
        };
        Ok(Some(Record { event, cursor, trail }))
    }
}

from_row! {
    /// A row that says what a key was used for.
    pub(crate) struct KeyRow {
        room: String,
        sender: String,
        key: String,
        id: Uuid,
        epoch: i64,
        seq: i64,
        digest: String,
        at: i64,
    }
}

impl KeyRow {
    pub fn key_use(self) -> Result<(Room, KeyUse), Error> {
        let used = KeyUse {
            sender: name(UserId::new(self.sender))?,
            key: name(Key::new(self.key))?,
            id: EventId(self.id),
            cursor: cursor(self.epoch, self.seq),
            digest: self.digest,
            at: time(self.at),
        };
        Ok((name(Room::new(self.room))?, used))
    }
}

/// A place from its columns. Columns hold only what [`number`] wrote, so nothing is lost.
pub(crate) fn cursor(epoch: i64, seq: i64) -> Cursor {
    Cursor::new(epoch.cast_unsigned(), seq.cast_unsigned())
}

/// A time from its column.
pub(crate) fn time(at: i64) -> u64 {
    at.cast_unsigned()
}

/// A number as a column. What is written has passed [`crate::storable`]; what is asked for may be any number, and past
/// the range there is nothing.
pub(crate) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A name from its column.
pub(crate) fn name<T>(checked: Result<T, InvalidName>) -> Result<T, Error> {
    checked.map_err(|invalid| Error::malformed("events", invalid))
}

/// A JSON value from its column.
pub(crate) fn body(text: String) -> Result<Body, Error> {
    Body::parse(text).map_err(|error| bad("a JSON column", error))
}

/// The annotations from their column.
pub(crate) fn annotations(text: Option<String>) -> Result<Annotations, Error> {
    text.map(|text| json("annotations", &text)).transpose().map(Option::unwrap_or_default)
}

/// The annotations as a column: nothing where there are none.
pub(crate) fn annotations_text(annotations: &Annotations) -> Option<String> {
    (!annotations.is_empty()).then(|| text(annotations))
}

/// Our own types as JSON text.
pub(crate) fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("our own types have a JSON form")
}

fn json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| bad(what, error))
}

fn bad(what: &str, found: impl std::fmt::Display) -> Error {
    Error::malformed("events", format!("{what}: {found}"))
}
