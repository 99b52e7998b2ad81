//! Places that have no row although later ones do: where a room's newest epoch stops for its readers.
//!
//! Mostly such a place is filled a moment later. Where that cannot happen any more (Kafka lost the record, or its retention
//! took it before it was stored), an operator closes it: an *unreadable* row keeps the place, so that readers pass it as they
//! pass every place whose record could not be read. Should the record come after all, it has a row at its place as well, and that
//! one is served.

use crate::columns::from_row;
use crate::row::{cursor, name, number, time};
use crate::store::on_reader;
use crate::{Entry, Error, Store};
use confab_protocol::{Cursor, EventId, Millis, Room};
use uuid::Uuid;

const STOPPED: &str = "select c.room, c.epoch, c.through, c.top,
        (select e.seq from events e where e.room = c.room and e.epoch = c.epoch and e.seq > c.through
         order by e.seq limit 1) as next,
        (select e.at from events e where e.room = c.room and e.epoch = c.epoch and e.seq > c.through and e.at is not null
         order by e.seq limit 1) as at
     from contiguous c where c.through < c.top and (cast($1 as text) is null or c.room = $1)
         and not exists (select 1 from contiguous n where n.room = c.room and n.epoch > c.epoch)
     order by c.room limit $2";

/// The most places that are closed in one transaction.
const CLOSE_AT_ONCE: i64 = 1000;
/// Why a place that was closed has no record.
const REASON: &str = "lost: its record never came, and an operator closed its place";

/// A room whose readers stop at a place that has no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Which room.
    pub room: Room,
    /// The first place that has no row.
    pub first: Cursor,
    /// The last before the next one that has a row.
    pub last: Cursor,
    /// The room's highest place that has a row.
    pub top: Cursor,
    /// When the event behind the missing places was said, if that is known: since then they are missing.
    pub since: Option<Millis>,
}

from_row! {
    struct StoppedRow {
        room: String,
        epoch: i64,
        through: i64,
        top: i64,
        next: Option<i64>,
        at: Option<i64>,
    }
}

impl StoppedRow {
    fn stopped(self) -> Result<Stopped, Error> {
        let next = self.next.unwrap_or(self.top);
        Ok(Stopped {
            room: name(Room::new(self.room))?,
            first: cursor(self.epoch, self.through + 1),
            last: cursor(self.epoch, next - 1),
            top: cursor(self.epoch, self.top),
            since: self.at.map(time),
        })
    }
}

impl Store {
    /// Rooms whose readers stop at a place that has no row, at most so many, in the order of their names. An older epoch is passed
    /// with its missing places, so only the newest of each room counts.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn stopped(&self, limit: usize) -> Result<Vec<Stopped>, Error> {
        self.stopped_rows(None, number(limit as u64)).await
    }

    /// Where the readers of one room stop, if they do.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn stopped_in(&self, room: &Room) -> Result<Option<Stopped>, Error> {
        Ok(self.stopped_rows(Some(room), 1).await?.pop())
    }

    /// Closes the missing places of a room's newest epoch behind which the next event was said before this time; the first that
    /// is younger ends it. Returns the first and last place of each stretch that was closed.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer: some may be closed, and closing again goes on from there.
    pub async fn close_missing(&self, room: &Room, before: Millis) -> Result<Vec<(Cursor, Cursor)>, Error> {
        let mut closed: Vec<(Cursor, Cursor)> = Vec::new();
        while let Some(stopped) = self.stopped_in(room).await? {
            if stopped.since.is_some_and(|since| since >= before) {
                break;
            }
            let epoch = number(stopped.first.epoch.0);
            let first = number(stopped.first.offset);
            let last = number(stopped.last.offset).min(first + CLOSE_AT_ONCE - 1);
            let batch: Vec<_> = (first..=last).map(|seq| closing(room, cursor(epoch, seq))).collect();
            self.apply(&batch, &[]).await?;
            let first = stopped.first;
            let last = cursor(epoch, last);
            match closed.last_mut() {
                Some((_, end)) if Cursor::new(end.epoch.0, end.offset + 1) == first => *end = last,
                _ => closed.push((first, last)),
            }
        }
        Ok(closed)
    }

    async fn stopped_rows(&self, room: Option<&Room>, limit: i64) -> Result<Vec<Stopped>, Error> {
        let room = room.map(Room::as_str);
        let rows: Vec<StoppedRow> = self
            .within(async {
                on_reader!(self, pool => sqlx::query_as(STOPPED).bind(room).bind(limit).fetch_all(pool).await)
                    .map_err(|error| Error::sort("look for missing places", error))
            })
            .await?;
        rows.into_iter().map(StoppedRow::stopped).collect()
    }
}

fn closing(room: &Room, at: Cursor) -> Entry {
    Entry::Unreadable { place: Some((room.clone(), at, closed_id(at))), reason: REASON.into() }
}

/// The id of the row that closes a place: above all ids of events, so that a record which comes late is served in its stead.
pub(crate) fn closed_id(at: Cursor) -> EventId {
    let [_, _, epoch @ ..] = at.epoch.0.to_be_bytes();
    let mut bytes = [0xff; 16];
    bytes[2..8].copy_from_slice(&epoch);
    bytes[8..].copy_from_slice(&at.offset.to_be_bytes());
    EventId(Uuid::from_bytes(bytes))
}
