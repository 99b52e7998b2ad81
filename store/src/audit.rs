//! What operators and moderators did, and what they were refused: one row an act, never changed.

use crate::columns::from_row;
use crate::row::{number, time};
use crate::store::{on_reader, on_transaction, on_writer};
use crate::{Error, Store};
use confab_protocol::Millis;

const RECORD: &str = "insert into audit (at, said_by, via, verb, room, person, event, reason, result, details)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const LIST: &str = "select id, at, said_by, via, verb, room, person, event, reason, result, details from audit
     where id < $1 and at >= $2 and (cast($3 as text) is null or person = $3) and (cast($4 as text) is null or verb = $4)
     and (cast($5 as text) is null or said_by = $5) and (cast($6 as text) is null or room = $6)
     order by id desc limit $7";
const FORGET_OLD: &str = "delete from audit where at < $1";
const FORGET_EXCESS: &str = "delete from audit where id <= (select id from audit order by id desc limit 1 offset $1)";

/// One act.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Act {
    /// When.
    pub at: Millis,
    /// Who: the name of an operator's token, or a moderator's user id.
    pub by: String,
    /// How they came: `admin-api`, `rpc`, `socketio`.
    pub via: String,
    /// What they did, such as `ban`.
    pub verb: String,
    /// In which room.
    pub room: Option<String>,
    /// To whom.
    pub user: Option<String>,
    /// To which event.
    pub event: Option<String>,
    /// Why, as they said.
    pub reason: Option<String>,
    /// `ok`, or why not.
    pub result: String,
    /// All else, as JSON.
    pub details: Option<String>,
}

/// Which acts to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct WhichActs<'a> {
    /// Only those before this one, for the next page.
    pub before: Option<u64>,
    /// Only those at this time or later.
    pub since: Millis,
    /// Only those done to this user.
    pub user: Option<&'a str>,
    /// Only those of this verb.
    pub verb: Option<&'a str>,
    /// Only those that this operator or moderator did.
    pub by: Option<&'a str>,
    /// Only those in this room.
    pub room: Option<&'a str>,
}

from_row! {
    struct AuditRow {
        id: i64,
        at: i64,
        said_by: String,
        via: String,
        verb: String,
        room: Option<String>,
        person: Option<String>,
        event: Option<String>,
        reason: Option<String>,
        result: String,
        details: Option<String>,
    }
}

impl AuditRow {
    fn act(self) -> (u64, Act) {
        let Self { id, at, said_by: by, via, verb, room, person: user, event, reason, result, details } = self;
        (time(id), Act { at: time(at), by, via, verb, room, user, event, reason, result, details })
    }
}

impl Store {
    /// Keeps acts, all of them or none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn audit(&self, acts: &[Act]) -> Result<(), Error> {
        self.within(async {
            let failed = |error| Error::sort("keep the audit log", error);
            let mut transaction = self.begin().await?;
            for act in acts {
                on_transaction!(&mut transaction, connection => {
                    let row = sqlx::query(RECORD).bind(number(act.at)).bind(&act.by).bind(&act.via).bind(&act.verb);
                    let row = row.bind(&act.room).bind(&act.user).bind(&act.event).bind(&act.reason);
                    row.bind(&act.result).bind(&act.details).execute(connection).await.map(drop).map_err(failed)?;
                });
            }
            transaction.commit().await.map_err(failed)
        })
        .await
    }

    /// The newest `limit` acts of these, each with its number, the newest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn audited(&self, which: WhichActs<'_>, limit: usize) -> Result<Vec<(u64, Act)>, Error> {
        let WhichActs { before, since, user, verb, by, room } = which;
        let before = before.map_or(i64::MAX, number);
        let limit = number(limit as u64);
        let rows: Vec<AuditRow> = self
            .within(async {
                on_reader!(self, pool => {
                    let rows = sqlx::query_as(LIST).bind(before).bind(number(since)).bind(user).bind(verb);
                    rows.bind(by).bind(room).bind(limit).fetch_all(pool).await
                })
                .map_err(|error| Error::sort("read the audit log", error))
            })
            .await?;
        Ok(rows.into_iter().map(AuditRow::act).collect())
    }

    /// Removes acts before this time, and all but about the newest `keep`; returns how many.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn forget_acts(&self, before: Millis, keep: usize) -> Result<u64, Error> {
        self.within(async {
            on_writer!(self, pool => {
                match sqlx::query(FORGET_OLD).bind(number(before)).execute(pool).await {
                    Ok(old) => sqlx::query(FORGET_EXCESS).bind(number(keep as u64)).execute(pool).await
                        .map(|excess| old.rows_affected() + excess.rows_affected()),
                    Err(error) => Err(error),
                }
            })
            .map_err(|error| Error::sort("shorten the audit log", error))
        })
        .await
    }
}
