//! Reading by cursor: in order, one epoch at a time, and never past a hole that may still be filled.

use crate::columns::from_row;
use crate::lost::closed_id;
use crate::row::{EventRow, cursor, event_columns, number};
use crate::store::on_reader;
use crate::{Error, Page, Query, Store};
use confab_protocol::{Cursor, Room};
use futures_util::{Stream, TryStreamExt};

/// The most records of one page.
pub const PAGE_RECORDS_MAX: usize = 1000;

const FORWARDS: &str = concat!(
    "select ",
    event_columns!(),
    " from events where room = $1 and epoch = $2 and seq > $3 and seq < $4 order by seq, id limit $5"
);
const BACKWARDS: &str = concat!(
    "select ",
    event_columns!(),
    " from events where room = $1 and epoch = $2 and seq > $3 and seq < $4 order by seq desc, id limit $5"
);
const ENDS: &str = "select epoch, through, top, floor from contiguous where room = $1 order by epoch";

from_row! {
    /// How far one epoch of a room is known.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct End {
        epoch: i64,
        through: i64,
        top: i64,
        floor: i64,
    }
}

/// Places of one epoch that a page may hold: those between two places, both not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    epoch: i64,
    after: i64,
    before: i64,
}

/// The place before which an epoch can be read: past its last row if it has a successor, else past the contiguous ones.
fn past(ends: &[End], end: &End) -> i64 {
    let is_over = ends.last().is_some_and(|last| last.epoch > end.epoch);
    if is_over { end.top.saturating_add(1) } else { end.through.saturating_add(1) }
}

impl Store {
    /// Reads events of a room by cursor.
    ///
    /// A page ends with its epoch, and in the newest epoch before the first place that has no row yet. An epoch that has
    /// a successor may have holes for ever: what was heard in a generation that was lost, and never journaled. They are
    /// passed, since what stands behind them may have been acknowledged. Should one be filled after all, the same event
    /// has a place in the newer epoch as well, so nobody who has read on misses it. So may one of which
    /// [`Query::stored_before`] says that it is over, in a room that has no later event.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn page(&self, room: &Room, query: Query) -> Result<Page, Error> {
        self.within(async {
            let mut ends = self.ends(room).await?;
            let through = ends.last().map(|end| cursor(end.epoch, end.through));
            let over = number(query.stored_before);
            ends.iter_mut().filter(|end| end.epoch < over).for_each(|end| end.through = end.top);
            let floor = ends.iter().rev().find(|end| end.floor > 0).map(|end| cursor(end.epoch, end.floor));
            let Some(stretch) = stretch(&ends, &query) else {
                return Ok(Page { through, floor, ..Page::default() });
            };
            let limit = query.limit.min(PAGE_RECORDS_MAX);
            let mut page = Page { through, floor, ..Page::default() };
            let wanted = Query { limit, ..query };
            let (rows, cut) = if limit == 0 { (Vec::new(), false) } else { self.rows(room, stretch, wanted).await? };
            let read_all = limit > 0 && rows.len() < limit && !cut;
            let last = rows.last().map(EventRow::cursor);
            page.next = next(&ends, stretch, query.reverse, last.map(|last| number(last.offset)), read_all);
            let mut before = None;
            for row in rows {
                let at = row.cursor();
                if before.replace(at) == Some(at) {
                    if row.id() == closed_id(at) {
                        continue; // its record came after all
                    }
                    tracing::error!(%room, cursor = %at, "two events claim one place: only the first is served");
                    continue;
                }
                match row.record() {
                    Ok(Some(record)) => page.records.push(record),
                    Ok(None) => page.unreadable.push(at),
                    // Asking again would find it as it is: its place is told, and the room's past goes on.
                    Err(error) => {
                        tracing::error!(%room, cursor = %at, %error, "an event's row is malformed: only its place is served");
                        page.unreadable.push(at);
                    }
                }
            }
            Ok(page)
        })
        .await
    }

    /// How far the room's newest epoch is known without a hole; `None` if the store knows nothing of the room.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn through(&self, room: &Room) -> Result<Option<Cursor>, Error> {
        let ends = self.within(self.ends(room)).await?;
        Ok(ends.last().map(|end| cursor(end.epoch, end.through)))
    }

    /// How far an epoch of a room is known without a hole; 0 if nothing of it is known.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn contiguous(&self, room: &Room, epoch: u64) -> Result<u64, Error> {
        let ends = self.within(self.ends(room)).await?;
        let end = ends.iter().find(|end| end.epoch == number(epoch));
        Ok(end.map_or(0, |end| end.through.cast_unsigned()))
    }

    /// The place of the room's oldest event that can be served.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn oldest(&self, room: &Room) -> Result<Option<Cursor>, Error> {
        let ends = self.within(self.ends(room)).await?;
        Ok(ends.iter().find(|end| past(&ends, end) > end.floor + 1).map(|end| cursor(end.epoch, end.floor + 1)))
    }

    /// The highest place of the room that has a row, contiguous or not: where an embedded hub goes on after a restart.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn tops(&self, room: &Room) -> Result<Option<Cursor>, Error> {
        let ends = self.within(self.ends(room)).await?;
        Ok(ends.iter().rev().find(|end| end.top > 0).map(|end| cursor(end.epoch, end.top)))
    }

    /// The ends of the room's epochs, oldest first.
    async fn ends(&self, room: &Room) -> Result<Vec<End>, Error> {
        let ends = on_reader!(self, pool => sqlx::query_as(ENDS).bind(room.as_str()).fetch_all(pool).await);
        ends.map_err(|error| Error::sort("read contiguous ends", error))
    }

    /// Rows one after another, and whether they end because they have as many bytes as were asked for: what is not wanted is
    /// not held.
    async fn rows(&self, room: &Room, at: Stretch, wanted: Query) -> Result<(Vec<EventRow>, bool), Error> {
        let Query { reverse, limit, bytes, .. } = wanted;
        let sql = if reverse { BACKWARDS } else { FORWARDS };
        let room = room.as_str();
        let limit = number(limit as u64);
        let rows = on_reader!(self, pool => {
            let query = sqlx::query_as(sql).bind(room).bind(at.epoch).bind(at.after).bind(at.before).bind(limit);
            up_to(query.fetch(pool), bytes).await
        });
        rows.map_err(|error| Error::sort("read events", error))
    }
}

/// The rows of a stream up to the one with which they have so many bytes, and whether there is such a one.
async fn up_to(
    mut stream: impl Stream<Item = Result<EventRow, sqlx::Error>> + Unpin,
    bytes_max: usize,
) -> Result<(Vec<EventRow>, bool), sqlx::Error> {
    let mut rows = Vec::new();
    let mut bytes = 0;
    while let Some(row) = stream.try_next().await? {
        bytes += row.weight();
        rows.push(row);
        if bytes >= bytes_max {
            return Ok((rows, true));
        }
    }
    Ok((rows, false))
}

/// Which places a query reads: the rest of the epoch it names, or, where that is empty, the next epoch that has any.
fn stretch(ends: &[End], query: &Query) -> Option<Stretch> {
    let since = query.since.map(|since| (number(since.epoch.0), number(since.offset)));
    let forwards = |end: &End| {
        let after = match since {
            Some((epoch, _)) if end.epoch < epoch => return None,
            Some((epoch, seq)) if end.epoch == epoch => seq,
            _ => 0,
        };
        Some(Stretch { epoch: end.epoch, after: after.max(end.floor), before: past(ends, end) })
    };
    let backwards = |end: &End| {
        let past = past(ends, end);
        let before = match since {
            Some((epoch, _)) if end.epoch > epoch => return None,
            Some((epoch, seq)) if end.epoch == epoch => seq.min(past),
            _ => past,
        };
        Some(Stretch { epoch: end.epoch, after: end.floor, before })
    };
    let holds_any = |stretch: &Stretch| stretch.after.saturating_add(1) < stretch.before;
    if query.reverse {
        ends.iter().rev().filter_map(backwards).find(holds_any)
    } else {
        ends.iter().filter_map(forwards).find(holds_any)
    }
}

/// Where to go on after a page that ended at `last`, or read all of its stretch.
fn next(ends: &[End], stretch: Stretch, reverse: bool, last: Option<i64>, read_all: bool) -> Option<Cursor> {
    let last = last.filter(|_| !read_all);
    if reverse {
        let last = last.unwrap_or(if read_all { stretch.after + 1 } else { stretch.before });
        if last > stretch.after + 1 {
            return Some(cursor(stretch.epoch, last));
        }
        let before = ends.iter().rev().find(|end| end.epoch < stretch.epoch && past(ends, end) > end.floor + 1);
        before.map(|end| cursor(end.epoch, past(ends, end)))
    } else {
        let last = last.unwrap_or(if read_all { stretch.before - 1 } else { stretch.after });
        if last < stretch.before - 1 {
            return Some(cursor(stretch.epoch, last));
        }
        ends.iter().find(|end| end.epoch > stretch.epoch).map(|end| cursor(end.epoch, 0))
    }
}
