//! Who may not speak where, and until when.
//!
//! Every change has a version, higher than all before it and seen in its order, so that hubs read only what is new to them.

use crate::row::{name, number, time};
use crate::store::{on_reader, on_transaction, on_writer};
use crate::{Error, Store};
use confab_protocol::{Millis, Room, UserId};

const NEXT: &str = "update mute_versions set current = current + 1 returning current";
/// A plugin's word does not end what somebody else said for longer.
const EXTEND: &str = "insert into mutes (room, person, until, reason, said_by, at, version)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (room, person) do update set until = excluded.until, reason = excluded.reason,
         said_by = excluded.said_by, at = excluded.at, version = excluded.version
     where excluded.until > mutes.until";
const REPLACE: &str = "insert into mutes (room, person, until, reason, said_by, at, version)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (room, person) do update set until = excluded.until, reason = excluded.reason,
         said_by = excluded.said_by, at = excluded.at, version = excluded.version";
const LIFT: &str = "update mutes set until = $3, said_by = $4, at = $3, version = $5
     where room = $1 and person = $2 and until > $3";
const SINCE: &str = "select room, person, until, reason, said_by, at, version from mutes
     where version > $1 order by version limit $2";
const IN_FORCE: &str = "select room, person, until, reason, said_by, at, version from mutes
     where until > $1 and (cast($2 as text) is null or room = $2) order by until, room, person limit $3";
const FORGET: &str = "delete from mutes where until < $1";

/// A person may not speak in a room for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mute {
    /// Where.
    pub room: Room,
    /// Who.
    pub user: UserId,
    /// Until then; in the past where it was lifted.
    pub until: Millis,
    /// What they are told.
    pub reason: String,
    /// Who said so: `plugin:<name>`, or a moderator.
    pub by: String,
    /// When.
    pub at: Millis,
}

/// Whether a mute may end an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It counts only where it lasts longer: a plugin's.
    Extends,
    /// It is the last word: a moderator's.
    Replaces,
}

#[derive(sqlx::FromRow)]
struct MuteRow {
    room: String,
    person: String,
    until: i64,
    reason: String,
    said_by: String,
    at: i64,
    version: i64,
}

impl MuteRow {
    fn mute(self) -> Result<(u64, Mute), Error> {
        let (room, user) = (name(Room::new(&self.room))?, name(UserId::new(self.person))?);
        let (until, at) = (time(self.until), time(self.at));
        Ok((time(self.version), Mute { room, user, until, reason: self.reason, by: self.said_by, at }))
    }
}

impl Store {
    /// Keeps a mute. False where one that lasts longer stands in its way.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn mute(&self, mute: &Mute, weight: Weight) -> Result<bool, Error> {
        let statement = if weight == Weight::Extends { EXTEND } else { REPLACE };
        self.within(async {
            let failed = |error| Error::sort("mute somebody", error);
            let mut transaction = self.begin().await?;
            let done = on_transaction!(&mut transaction, connection => {
                let version: (i64,) = sqlx::query_as(NEXT).fetch_one(&mut *connection).await.map_err(failed)?;
                let row = sqlx::query(statement).bind(mute.room.as_str()).bind(mute.user.as_str());
                let row = row.bind(number(mute.until)).bind(&mute.reason).bind(&mute.by).bind(number(mute.at));
                row.bind(version.0).execute(&mut *connection).await.map_err(failed)?.rows_affected()
            });
            transaction.commit().await.map_err(failed)?;
            Ok(done > 0)
        })
        .await
    }

    /// Ends a mute that stands, in the name of `by`. False if there is none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn lift_mute(&self, room: &Room, user: &UserId, by: &str, now: Millis) -> Result<bool, Error> {
        self.within(async {
            let failed = |error| Error::sort("lift a mute", error);
            let mut transaction = self.begin().await?;
            let done = on_transaction!(&mut transaction, connection => {
                let version: (i64,) = sqlx::query_as(NEXT).fetch_one(&mut *connection).await.map_err(failed)?;
                let row = sqlx::query(LIFT).bind(room.as_str()).bind(user.as_str()).bind(number(now)).bind(by);
                row.bind(version.0).execute(&mut *connection).await.map_err(failed)?.rows_affected()
            });
            transaction.commit().await.map_err(failed)?;
            Ok(done > 0)
        })
        .await
    }

    /// The next `limit` changes after this version, each with its own; also those that have ended.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn mutes_since(&self, version: u64, limit: usize) -> Result<Vec<(u64, Mute)>, Error> {
        let rows: Vec<MuteRow> = self
            .within(async {
                on_reader!(self, pool => {
                    sqlx::query_as(SINCE).bind(number(version)).bind(number(limit as u64)).fetch_all(pool).await
                })
                .map_err(|error| Error::sort("read mutes", error))
            })
            .await?;
        rows.into_iter().map(MuteRow::mute).collect()
    }

    /// Up to `limit` mutes that stand at this time, in one room or all; those that end first come first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn mutes(&self, now: Millis, room: Option<&str>, limit: usize) -> Result<Vec<Mute>, Error> {
        let limit = number(limit as u64);
        let rows: Vec<MuteRow> = self
            .within(async {
                on_reader!(self, pool => {
                    sqlx::query_as(IN_FORCE).bind(number(now)).bind(room).bind(limit).fetch_all(pool).await
                })
                .map_err(|error| Error::sort("list mutes", error))
            })
            .await?;
        rows.into_iter().map(|row| row.mute().map(|(_, mute)| mute)).collect()
    }

    /// Removes mutes that ended before this time; returns how many.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn forget_mutes(&self, ended_before: Millis) -> Result<u64, Error> {
        self.within(async {
            on_writer!(self, pool => {
                sqlx::query(FORGET).bind(number(ended_before)).execute(pool).await.map(|done| done.rows_affected())
            })
            .map_err(|error| Error::sort("forget mutes", error))
        })
        .await
    }
}
