//! The common batch, written without asking what is known: nothing but new messages, each room going on where it ended.
//!
//! The indexes say whether it was one. If not, nothing of it has happened, and the batch goes the long way.

use super::Sqlite;
use super::values::{Bound, pieces, statement, table};
use crate::changes::NewRow;
use crate::fold::Fate;
use crate::{Entry, Error};
use confab_protocol::{Kind, Record};
use sqlx::{AssertSqlSafe, SqliteConnection};
use std::collections::HashMap;

/// A batch that looks like a common one.
pub(crate) struct Plain<'a> {
    rows: Vec<NewRow<'a>>,
    /// Rooms that begin.
    begins: Vec<Stretch<'a>>,
    /// Rooms that go on.
    goes_on: Vec<Stretch<'a>>,
}

/// The places that a batch brings to one (room, epoch), without a hole.
struct Stretch<'a> {
    room: &'a str,
    epoch: i64,
    /// The place before the first.
    before: i64,
    last: i64,
}

impl<'a> Plain<'a> {
    /// The batch, if by itself it looks like one: only messages, each room's places one after another.
    pub fn of(batch: &'a [Entry]) -> Option<Self> {
        let mut rows = Vec::with_capacity(batch.len());
        let mut stretches: HashMap<(&str, i64), Stretch<'a>> = HashMap::new();
        for entry in batch {
            let row = NewRow::of(entry, Fate::New).filter(|_| says_something_new(entry))?;
            let room = row.room;
            let epoch = row.epoch;
            let before = row.seq - 1;
            let stretch = stretches.entry((room, epoch)).or_insert(Stretch { room, epoch, before, last: before });
            if stretch.last != before {
                return None;
            }
            stretch.last = row.seq;
            rows.push(row);
        }
        let (begins, goes_on) = stretches.into_values().partition(|stretch| stretch.before == 0);
        Some(Self { rows, begins, goes_on })
    }

    /// Writes it in a transaction of its own. False: it is not what it looked like, and nothing was written.
    pub async fn write(&self, sqlite: &Sqlite) -> Result<bool, Error> {
        let begun = sqlite.begin().await;
        let mut transaction = begun.map_err(|error| Error::sort("begin a transaction", error))?;
        let stands = match self.steps(&mut transaction).await {
            Ok(stands) => stands,
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => false,
            Err(error) => return Err(Error::sort("store a batch of messages", error)),
        };
        if stands {
            let committed = transaction.commit().await;
            committed.map_err(|error| Error::sort_commit("commit a batch of messages", error))?;
        } else {
            transaction.rollback().await.map_err(|error| Error::sort("undo a batch of messages", error))?;
        }
        Ok(stands)
    }

    async fn steps(&self, connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
        Ok(messages(connection, &self.rows).await?
            && begin(connection, &self.begins).await?
            && go_on(connection, &self.goes_on).await?)
    }
}

/// A message, as far as can be told without the store.
fn says_something_new(entry: &Entry) -> bool {
    matches!(entry, Entry::Record(record) if is_message(record))
}

fn is_message(record: &Record) -> bool {
    record.event.kind == Kind::Message && record.event.target.is_none()
}

const EVENTS: &str = "insert or fail into events (room, epoch, seq, id, kind, sender, key, digest, at, body, thread, \
                      annotations, trail, client, info, version, stands)";
const EVENT_COLUMNS: usize = 17;

/// What the rows just written say, once more: they are the last ones. An id that is known by a row that does not stand is
/// no index's affair: it is left out, so that rows are missing.
const MESSAGES: &str =
    "insert or fail into messages (room, id, epoch, seq, sender, client, info, key, at, thread, body, annotations)
     select room, id, epoch, seq, sender, client, info, key, at, thread, body, annotations from events e
     where e.rowid > (select max(rowid) from events) - ";
const UNLESS_SET_ASIDE: &str =
    " and not exists (select 1 from events s where s.room = e.room and s.id = e.id and not s.stands)";

/// Both tables in one statement: a round trip to SQLite's thread costs as much as some rows.
async fn messages(connection: &mut SqliteConnection, rows: &[NewRow<'_>]) -> Result<bool, sqlx::Error> {
    for piece in pieces(rows) {
        let values = table(piece.len(), EVENT_COLUMNS);
        let count = piece.len();
        let sql = format!("{EVENTS} {values}; {MESSAGES}{count}{UNLESS_SET_ASIDE}");
        let query = piece.iter().fold(sqlx::query(AssertSqlSafe(sql)), bind);
        if query.execute(&mut *connection).await?.rows_affected() != 2 * count as u64 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn bind<'q>(query: Bound<'q>, row: &'q NewRow<'_>) -> Bound<'q> {
    let query = query.bind(row.room).bind(row.epoch).bind(row.seq).bind(row.id).bind(row.kind);
    let query = query.bind(row.sender).bind(row.key).bind(row.digest).bind(row.at).bind(row.body).bind(row.thread);
    let query = query.bind(row.annotations.as_deref()).bind(row.trail.as_deref()).bind(row.client).bind(row.info);
    query.bind(row.version).bind(row.stands)
}

const BEGIN: &str = "insert or fail into contiguous (room, epoch, through, top)";

/// No row may be there yet.
async fn begin(connection: &mut SqliteConnection, stretches: &[Stretch<'_>]) -> Result<bool, sqlx::Error> {
    for piece in pieces(stretches) {
        let query = piece.iter().fold(statement(BEGIN, piece.len(), 4, ""), |query, stretch| {
            query.bind(stretch.room).bind(stretch.epoch).bind(stretch.last).bind(stretch.last)
        });
        query.execute(&mut *connection).await?;
    }
    Ok(true)
}

const GO_ON: (&str, &str) = (
    "with b (room, epoch, before, last) as (",
    ") update contiguous as c set through = b.last, top = b.last from b
     where c.room = b.room and c.epoch = b.epoch and c.through = b.before and c.top = b.before",
);

/// The row must be there, and say that the room ended, without a hole, where it goes on.
async fn go_on(connection: &mut SqliteConnection, stretches: &[Stretch<'_>]) -> Result<bool, sqlx::Error> {
    for piece in pieces(stretches) {
        let query = piece.iter().fold(statement(GO_ON.0, piece.len(), 4, GO_ON.1), |query, stretch| {
            query.bind(stretch.room).bind(stretch.epoch).bind(stretch.before).bind(stretch.last)
        });
        if query.execute(&mut *connection).await?.rows_affected() != piece.len() as u64 {
            return Ok(false);
        }
    }
    Ok(true)
}
