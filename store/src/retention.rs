//! Retention: removes the oldest events of a room, and keeps in mind where the room begins since.
//!
//! Every (room, epoch) has a *floor*: the place up to which nothing is kept. It moves in the transaction that removes the rows, so
//! readers see either both or neither; they begin above it, and a record that a replay brings from below it is not stored again.
//! A room goes epoch by epoch, the oldest first, and the rows of `contiguous` themselves stay: an embedded hub goes on from them.

use crate::columns::from_row;
use crate::row::{name, number, time};
use crate::store::{Transaction, on_reader, on_transaction, on_writer};
use crate::{Error, Store};
use confab_protocol::{EventId, Millis, Room};
use uuid::Uuid;

/// The most events of one transaction: it must not hold the database for longer than a batch of the journal does.
const STEP: usize = 500;

const ROOMS: &str = "select distinct room from contiguous where room > $1 order by room limit $2";
const ENDS: &str = "select epoch, through, top, floor from contiguous where room = $1 order by epoch";
/// Every batch locks the span that it changes, so no event of the room comes meanwhile.
const ENDS_LOCKED: &str = "select epoch, through, top, floor from contiguous where room = $1 order by epoch for update";
const OLDEST: &str = "select seq, at from events
     where room = $1 and epoch = $2 and seq > $3 and seq <= $4 order by seq, id limit $5";
/// What was said at the removed places.
const MESSAGES: &str = "delete from messages where room = $1 and epoch = $2 and seq > $3 and seq <= $4
     and id in (select id from events where room = $1 and epoch = $2 and seq > $3 and seq <= $4)";
/// Words about a message that is not there any more, or never came.
const WAITING: &str = "delete from messages where room = $1 and seq is null
     and id in (select target from events
                where room = $1 and epoch = $2 and seq > $3 and seq <= $4 and target is not null)";
const REACTIONS: &str = "delete from reactions where room = $1
     and target in (select id from events where room = $1 and epoch = $2 and seq > $3 and seq <= $4
                    union all
                    select target from events
                    where room = $1 and epoch = $2 and seq > $3 and seq <= $4 and target is not null)
     and not exists (select 1 from messages m where m.room = $1 and m.id = reactions.target and m.seq is not null)";
const EVENTS: &str = "delete from events where room = $1 and epoch = $2 and seq > $3 and seq <= $4";
const RAISE: &str = "update contiguous set floor = $3 where room = $1 and epoch = $2";

const DECIDED: &str = "select id, room, decided_at as at from held
     where decided_at is not null and (decided_at > $1 or (decided_at = $1 and id > $2))
     order by decided_at, id limit $3";
const FORGET_DECIDED: &str = "delete from held where id = $1 and state <> 'waiting'";
const CLOSED: &str = "select event as id, room, max(closed_at) as at from flags
     where event > $1 group by event, room having count(*) = count(closed_at) order by event limit $2";
const FORGET_CLOSED: &str = "delete from flags where event = $1 and closed_at is not null";

/// What a step removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Rows of `events`.
    pub events: u64,
    /// Rows of `messages`.
    pub messages: u64,
    /// Rows of `reactions`.
    pub reactions: u64,
    /// When the oldest event was said that is kept; `None` if none is, or that is not known.
    pub oldest: Option<Millis>,
    /// Whether there may be more to remove.
    pub more: bool,
}

/// What moderators are done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Held events on which somebody has decided.
    Held,
    /// Events whose flags are all closed.
    Flags,
}

from_row! {
    #[derive(Clone, Copy)]
    struct End {
        epoch: i64,
        through: i64,
        top: i64,
        floor: i64,
    }
}

from_row! {
    struct OldRow {
        seq: i64,
        at: Option<i64>,
    }
}

from_row! {
    struct SettledRow {
        id: Uuid,
        room: String,
        at: i64,
    }
}

/// Places of one epoch, both included, that are to go; and what is known of what stays.
struct Going {
    epoch: i64,
    above: i64,
    up_to: i64,
    oldest: Option<i64>,
    more: bool,
}

impl Store {
    /// Rooms that the store knows, in the order of their names, after this one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn rooms_after(&self, after: Option<&Room>, limit: usize) -> Result<Vec<Room>, Error> {
        let after = after.map_or("", Room::as_str);
        let rooms: Vec<String> = self
            .within(async {
                let limit = number(limit as u64);
                on_reader!(self, pool => sqlx::query_scalar(ROOMS).bind(after).bind(limit).fetch_all(pool).await)
                    .map_err(|error| Error::sort("list rooms", error))
            })
            .await?;
        rooms.into_iter().map(|room| name(Room::new(room))).collect()
    }

    /// Removes the oldest events of a room as long as they were said before this time, a few hundred at most, and what they add up
    /// to. An event stays while an older place of its room has one that is young, or is not filled yet.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer. After any error nothing was removed.
    pub async fn expire(&self, room: &Room, before: Millis) -> Result<Removed, Error> {
        self.within(async {
            let mut snapshot = self.snapshot().await?;
            let going = going(&mut snapshot, room, before, ENDS).await;
            snapshot.rollback().await.map_err(|error| Error::sort("end a snapshot", error))?;
            let going = going?;
            if going.up_to <= going.above {
                return Ok(Removed { oldest: going.oldest.map(time), ..Removed::default() });
            }
            let mut transaction = self.begin().await?;
            let ends = if matches!(transaction, Transaction::Postgres(_)) { ENDS_LOCKED } else { ENDS };
            let going = self::going(&mut transaction, room, before, ends).await?;
            let removed = remove(&mut transaction, room, &going).await?;
            transaction.commit().await.map_err(|error| Error::sort("remove old events", error))?;
            Ok(removed)
        })
        .await
    }

    /// Removes what moderators were done with before the time that `before` says for its room, a few hundred that come after
    /// `after`; returns how many, and where to go on (`None`: at the end).
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer: some may have been removed.
    pub async fn expire_settled(
        &self,
        what: Settled,
        after: (Millis, EventId),
        before: impl Fn(&Room) -> Option<Millis>,
    ) -> Result<(u64, Option<(Millis, EventId)>), Error> {
        self.within(async {
            let failed = |error| Error::sort("remove what moderators are done with", error);
            let limit = number(STEP as u64);
            let (at, id) = (number(after.0), after.1.0);
            let rows: Vec<SettledRow> = on_reader!(self, pool => match what {
                Settled::Held => sqlx::query_as(DECIDED).bind(at).bind(id).bind(limit).fetch_all(pool).await,
                Settled::Flags => sqlx::query_as(CLOSED).bind(id).bind(limit).fetch_all(pool).await,
            })
            .map_err(failed)?;
            let next = rows.last().filter(|_| rows.len() == STEP).map(|row| (time(row.at), EventId(row.id)));
            let forget = match what {
                Settled::Held => FORGET_DECIDED,
                Settled::Flags => FORGET_CLOSED,
            };
            let mut removed = 0;
            for row in rows {
                let room = name(Room::new(row.room))?;
                if before(&room).is_some_and(|before| time(row.at) < before) {
                    removed += on_writer!(self, pool => {
                        sqlx::query(forget).bind(row.id).execute(pool).await.map(|done| done.rows_affected())
                    })
                    .map_err(failed)?;
                }
            }
            Ok((removed, next))
        })
        .await
    }
}

/// Which places go next: of the oldest epoch that still has any.
async fn going(transaction: &mut Transaction, room: &Room, before: Millis, ends: &'static str) -> Result<Going, Error> {
    let failed = |error| Error::sort("look for old events", error);
    let ends: Vec<End> =
        on_transaction!(transaction, connection => sqlx::query_as(ends).bind(room.as_str()).fetch_all(connection).await)
            .map_err(failed)?;
    for (n, end) in ends.iter().enumerate() {
        let is_over = n + 1 < ends.len();
        let last = if is_over { end.top } else { end.through };
        if end.floor >= last {
            continue;
        }
        let mut rows: Vec<OldRow> = on_transaction!(transaction, connection => {
            let rows = sqlx::query_as(OLDEST).bind(room.as_str()).bind(end.epoch).bind(end.floor).bind(last);
            rows.bind(number(STEP as u64)).fetch_all(connection).await
        })
        .map_err(failed)?;
        let is_all = rows.len() < STEP;
        let is_old = |row: &OldRow| row.at.is_none_or(|at| time(at) < before);
        let old = rows.iter().take_while(|row| is_old(row)).count();
        let oldest = rows.get(old).and_then(|row| row.at);
        rows.truncate(old);
        // What is behind the last row of an epoch that is over was lost with it.
        let up_to = match rows.last() {
            _ if oldest.is_none() && is_all => last,
            Some(row) => row.seq,
            None => end.floor,
        };
        return Ok(Going { epoch: end.epoch, above: end.floor, up_to, oldest, more: oldest.is_none() });
    }
    Ok(Going { epoch: 0, above: 0, up_to: 0, oldest: None, more: false })
}

async fn remove(transaction: &mut Transaction, room: &Room, going: &Going) -> Result<Removed, Error> {
    let mut counts = [0; 4];
    for (count, sql) in counts.iter_mut().zip([MESSAGES, WAITING, REACTIONS, EVENTS]) {
        *count = on_transaction!(transaction, connection => {
            let query = sqlx::query(sql).bind(room.as_str()).bind(going.epoch).bind(going.above).bind(going.up_to);
            query.execute(connection).await.map(|done| done.rows_affected())
        })
        .map_err(|error| Error::sort("remove old events", error))?;
    }
    on_transaction!(transaction, connection => {
        let query = sqlx::query(RAISE).bind(room.as_str()).bind(going.epoch).bind(going.up_to);
        query.execute(connection).await.map(drop)
    })
    .map_err(|error| Error::sort("raise a room's floor", error))?;
    let [said, waiting, reactions, events] = counts;
    let oldest = going.oldest.map(time);
    Ok(Removed { events, messages: said + waiting, reactions, oldest, more: going.more })
}
