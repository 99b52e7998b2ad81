//! Events that plugins asked moderators to look at.

use crate::columns::from_row;
use crate::row::{name, number, time};
use crate::store::{on_reader, on_writer};
use crate::{Error, Store};
use confab_protocol::{Body, EventId, Millis, Room, UserId};
use uuid::Uuid;

const FLAG: &str = "insert into flags (event, n, room, sender, plugin, reason, at, said)
     select $1, $2, $3, $4, $5, $6, $7, $8
     where (select count(*) from flags where sender = $4 and closed_at is null) < $9
     on conflict (event, n) do nothing";
const OPEN: &str =
    "select event, n, room, sender, plugin, reason, at, said, closed_by, closed_at, closed_why from flags
     where closed_at is null and (cast($1 as text) is null or room = $1) order by at, event, n limit $2";
const CLOSED: &str = "select event, n, room, sender, plugin, reason, at, said, closed_by, closed_at, closed_why from flags
     where closed_at is not null and (cast($1 as text) is null or room = $1) order by closed_at desc, event, n limit $2";
const CLOSE: &str = "update flags set closed_by = $2, closed_at = $3, closed_why = $4
     where event = $1 and closed_at is null";
const FORGET_CLOSED: &str = "delete from flags where closed_at < $1";
/// Whoever has the most open flags loses some, the newest of theirs first: nobody's flags make those of others go.
const FORGET_MOST: &str = "delete from flags where (event, n) in (
     select event, n from (
         select event, n, row_number() over (order by nth, at, event, n) as place from (
             select event, n, at, row_number() over (partition by sender order by at, event, n) as nth
             from flags where closed_at is null
         ) as of_sender
     ) as of_all where place > $1)";

/// An event that somebody should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The event.
    pub event: EventId,
    /// Which flag of the event it is: several plugins may have something to say.
    pub n: u32,
    /// Where it happened, or would have happened.
    pub room: Room,
    /// Who did it.
    pub sender: UserId,
    /// Which plugin wants it looked at.
    pub plugin: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Millis,
    /// The event, where it is to be found nowhere else: it was refused.
    pub said: Option<Body>,
    /// Whether somebody has looked.
    pub closed: Option<Closed>,
}

/// That somebody looked at a flagged event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Who.
    pub by: String,
    /// When.
    pub at: Millis,
    /// What they said for it.
    pub why: Option<String>,
}

from_row! {
    struct FlagRow {
        event: Uuid,
        n: i32,
        room: String,
        sender: String,
        plugin: String,
        reason: String,
        at: i64,
        said: Option<String>,
        closed_by: Option<String>,
        closed_at: Option<i64>,
        closed_why: Option<String>,
    }
}

impl FlagRow {
    fn flag(self) -> Result<Flag, Error> {
        let said = self.said.map(Body::parse).transpose();
        let closed = self.closed_by.zip(self.closed_at);
        Ok(Flag {
            event: EventId(self.event),
            n: u32::try_from(self.n).unwrap_or_default(),
            room: name(Room::new(&self.room))?,
            sender: name(UserId::new(self.sender))?,
            plugin: self.plugin,
            reason: self.reason,
            at: time(self.at),
            said: said.map_err(|error| Error::malformed("flags", format!("said: {error}")))?,
            closed: closed.map(|(by, at)| Closed { by, at: time(at), why: self.closed_why }),
        })
    }
}

impl Store {
    /// Keeps a flag, unless about `max` of its sender's are open already; says whether it is new. One that is there already stays
    /// as it is.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn flag(&self, flag: &Flag, max: usize) -> Result<bool, Error> {
        self.within(async {
            on_writer!(self, pool => {
                let row = sqlx::query(FLAG).bind(flag.event.0).bind(i32::try_from(flag.n).unwrap_or(i32::MAX));
                let row = row.bind(flag.room.as_str()).bind(flag.sender.as_str()).bind(&flag.plugin);
                let row = row.bind(&flag.reason).bind(number(flag.at)).bind(flag.said.as_ref().map(Body::as_str));
                let row = row.bind(number(max as u64));
                row.execute(pool).await.map(|done| done.rows_affected() > 0)
            })
            .map_err(|error| Error::sort("flag an event", error))
        })
        .await
    }

    /// Up to `limit` flags of one room or all: those that are open, the oldest first, or those that are closed, the last one
    /// first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn flags(&self, open: bool, room: Option<&str>, limit: usize) -> Result<Vec<Flag>, Error> {
        let statement = if open { OPEN } else { CLOSED };
        let limit = number(limit as u64);
        let rows: Vec<FlagRow> = self
            .within(async {
                on_reader!(self, pool => sqlx::query_as(statement).bind(room).bind(limit).fetch_all(pool).await)
                    .map_err(|error| Error::sort("list flags", error))
            })
            .await?;
        rows.into_iter().map(FlagRow::flag).collect()
    }

    /// Closes all flags of an event that are open, in the name of `by` and for the reason `why`; returns how many there were.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn close_flags(&self, event: EventId, by: &str, why: Option<&str>, now: Millis) -> Result<u64, Error> {
        self.within(async {
            on_writer!(self, pool => {
                let close = sqlx::query(CLOSE).bind(event.0).bind(by).bind(number(now)).bind(why);
                close.execute(pool).await.map(|done| done.rows_affected())
            })
            .map_err(|error| Error::sort("close a flag", error))
        })
        .await
    }

    /// Removes flags that were closed before this time, and of those that are open all but `keep`: of whoever has the most, the
    /// newest. Returns how many.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn forget_flags(&self, closed_before: Millis, keep: usize) -> Result<u64, Error> {
        let keep = number(keep as u64);
        self.within(async {
            on_writer!(self, pool => {
                let closed = sqlx::query(FORGET_CLOSED).bind(number(closed_before)).execute(pool);
                match closed.await {
                    Ok(closed) => sqlx::query(FORGET_MOST).bind(keep).execute(pool).await
                        .map(|most| closed.rows_affected() + most.rows_affected()),
                    Err(error) => Err(error),
                }
            })
            .map_err(|error| Error::sort("forget flags", error))
        })
        .await
    }
}
