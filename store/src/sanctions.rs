//! Who may not speak, and who may not be, where, and until when; and whose tokens are revoked.
//!
//! Every change has a version, higher than all before it and seen in its order, so that hubs read only what is new to them.

use crate::columns::from_row;
use crate::row::{name, number, time};
use crate::store::{on_reader, on_transaction, on_writer};
use crate::{Error, Store};
use confab_protocol::{EventId, Millis, Room, UserId};

/// What a sanction keeps somebody from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SanctionKind {
    /// Speaking.
    Mute,
    /// Being there at all.
    Ban,
}

/// A person may not speak, or not be, somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sanction {
    /// From what.
    pub kind: SanctionKind,
    /// Where; `None` is everywhere.
    pub room: Option<Room>,
    /// Who.
    pub user: UserId,
    /// Until then, in the past where it was lifted; `None` is for good.
    pub until: Option<Millis>,
    /// What they are told.
    pub reason: String,
    /// Who said so: `plugin:<name>`, or a moderator.
    pub by: String,
    /// When.
    pub at: Millis,
}

impl Sanction {
    /// Whether it stands at this time.
    pub fn stands(&self, now: Millis) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// A user's tokens of before a time are good no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Whose.
    pub user: UserId,
    /// Those issued before this time, and those that do not say when they were.
    pub before: Millis,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Millis,
}

/// What hubs follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A sanction came, changed or ended.
    Sanction(Sanction),
    /// Tokens were revoked.
    Revocation(Revocation),
}

/// Whether a sanction may end an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// It counts only where it lasts longer: a plugin's.
    Extends,
    /// It is the last word: a moderator's.
    Replaces,
}

/// Which of them to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct Which<'a> {
    /// Only those of this room.
    pub room: Option<&'a str>,
    /// Only those of this user.
    pub user: Option<&'a str>,
}

/// In the column, the end of what has none.
const NO_END: i64 = i64::MAX;
const NEXT: &str = "update mute_versions set current = current + 1 returning current";
const CURRENT: &str = "select current from mute_versions";
/// A number may come again, where the database is another one than that which gave it out.
const SET_MARK: &str = "insert into sanction_marks (version, mark) values ($1, $2)
     on conflict (version) do update set mark = excluded.mark";
const MARK: &str = "select mark from sanction_marks where version = $1";
const FORGET_MARKS: &str = "delete from sanction_marks where version <
     (select min(version) from (select version from sanction_marks order by version desc limit 10000) as newest)";
const SINCE: &str =
    "select 'mute' as kind, room, person, until, reason, said_by, at, version from mutes where version > $1
     union all
     select 'ban', room, person, until, reason, said_by, at, version from bans where version > $1
     union all
     select 'revocation', '', person, before, '', said_by, at, version from token_revocations where version > $1
     order by version limit $2";

/// An earlier time never takes a later one's place: what was revoked stays so.
const REVOKE: &str = "insert into token_revocations (person, before, said_by, at, version) values ($1, $2, $3, $4, $5)
     on conflict (person) do update set before = excluded.before, said_by = excluded.said_by, at = excluded.at,
         version = excluded.version where excluded.before > token_revocations.before";

/// What is said of one table.
struct Statements {
    /// A plugin's word does not end what somebody else said for longer.
    extend: &'static str,
    replace: &'static str,
    lift: &'static str,
    in_force: &'static str,
    forget: &'static str,
}

macro_rules! statements {
    ($kind:literal, $table:literal) => {
        Statements {
            extend: concat!(statements!(insert $table), " where excluded.until > ", $table, ".until"),
            replace: statements!(insert $table),
            lift: concat!(
                "update ", $table, " set until = $3, said_by = $4, at = $3, version = $5
                 where room = $1 and person = $2 and until > $3"
            ),
            in_force: concat!(
                "select '", $kind, "' as kind, room, person, until, reason, said_by, at, version from ", $table,
                " where until > $1 and (cast($2 as text) is null or room = $2)
                 and (cast($3 as text) is null or person = $3) order by until, room, person limit $4"
            ),
            forget: concat!("delete from ", $table, " where until < $1"),
        }
    };
    (insert $table:literal) => {
        concat!(
            "insert into ", $table, " (room, person, until, reason, said_by, at, version)
             values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (room, person) do update set until = excluded.until, reason = excluded.reason,
                 said_by = excluded.said_by, at = excluded.at, version = excluded.version"
        )
    };
}

static MUTES: Statements = statements!("mute", "mutes");
static BANS: Statements = statements!("ban", "bans");

impl SanctionKind {
    fn statements(self) -> &'static Statements {
        match self {
            Self::Mute => &MUTES,
            Self::Ban => &BANS,
        }
    }
}

from_row! {
    struct SanctionRow {
        kind: String,
        room: String,
        person: String,
        until: i64,
        reason: String,
        said_by: String,
        at: i64,
        version: i64,
    }
}

impl SanctionRow {
    fn change(self) -> Result<(u64, Change), Error> {
        if self.kind == "revocation" {
            let user = name(UserId::new(self.person))?;
            let before = time(self.until);
            let at = time(self.at);
            let revocation = Revocation { user, before, by: self.said_by, at };
            return Ok((time(self.version), Change::Revocation(revocation)));
        }
        self.sanction().map(|(version, sanction)| (version, Change::Sanction(sanction)))
    }

    fn sanction(self) -> Result<(u64, Sanction), Error> {
        let kind = if self.kind == "ban" { SanctionKind::Ban } else { SanctionKind::Mute };
        let room = if self.room.is_empty() { None } else { Some(name(Room::new(&self.room))?) };
        let until = (self.until != NO_END).then(|| time(self.until));
        let user = name(UserId::new(self.person))?;
        let at = time(self.at);
        Ok((time(self.version), Sanction { kind, room, user, until, reason: self.reason, by: self.said_by, at }))
    }
}

/// A place as its column has it.
fn column(room: Option<&Room>) -> &str {
    room.map_or("", Room::as_str)
}

impl Store {
    /// Keeps a sanction. False where one that lasts longer stands in its way.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn sanction(&self, sanction: &Sanction, precedence: Precedence) -> Result<bool, Error> {
        let Sanction { kind, room, user, until, reason, by, at } = sanction;
        let Statements { extend, replace, .. } = kind.statements();
        let statement = if precedence == Precedence::Extends { *extend } else { *replace };
        self.within(async {
            let failed = |error| Error::sort("keep somebody from something", error);
            let mut transaction = self.begin().await?;
            let done = on_transaction!(&mut transaction, connection => {
                let version: (i64,) = sqlx::query_as(NEXT).fetch_one(&mut *connection).await.map_err(failed)?;
                let row = sqlx::query(statement).bind(column(room.as_ref())).bind(user.as_str());
                let row = row.bind(until.map_or(NO_END, number)).bind(reason).bind(by).bind(number(*at));
                let done = row.bind(version.0).execute(&mut *connection).await.map_err(failed)?.rows_affected();
                if done > 0 {
                    let mark = sqlx::query(SET_MARK).bind(version.0).bind(EventId::fresh().to_string());
                    mark.execute(&mut *connection).await.map_err(failed)?;
                }
                done
            });
            transaction.commit().await.map_err(failed)?;
            Ok(done > 0)
        })
        .await
    }

    /// Ends a sanction that stands, in the name of `by`. False if there is none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn lift_sanction(
        &self,
        kind: SanctionKind,
        room: Option<&Room>,
        user: &UserId,
        by: &str,
        now: Millis,
    ) -> Result<bool, Error> {
        self.within(async {
            let failed = |error| Error::sort("let somebody be again", error);
            let mut transaction = self.begin().await?;
            let done = on_transaction!(&mut transaction, connection => {
                let version: (i64,) = sqlx::query_as(NEXT).fetch_one(&mut *connection).await.map_err(failed)?;
                let row = sqlx::query(kind.statements().lift).bind(column(room)).bind(user.as_str());
                let row = row.bind(number(now)).bind(by).bind(version.0);
                let done = row.execute(&mut *connection).await.map_err(failed)?.rows_affected();
                if done > 0 {
                    let mark = sqlx::query(SET_MARK).bind(version.0).bind(EventId::fresh().to_string());
                    mark.execute(&mut *connection).await.map_err(failed)?;
                }
                done
            });
            transaction.commit().await.map_err(failed)?;
            Ok(done > 0)
        })
        .await
    }

    /// The mark of a version; `None` if this database never gave it out, or so long ago that it has forgotten.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn sanctions_mark(&self, version: u64) -> Result<Option<String>, Error> {
        self.within(async {
            on_reader!(self, pool => sqlx::query_scalar(MARK).bind(number(version)).fetch_optional(pool).await)
                .map_err(|error| Error::sort("read the mark of a version", error))
        })
        .await
    }

    /// The last version that was given out. It is lower than one that was seen only where another database took the place
    /// of the one before.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn sanctions_version(&self) -> Result<u64, Error> {
        let (current,): (i64,) = self
            .within(async {
                on_reader!(self, pool => sqlx::query_as(CURRENT).fetch_one(pool).await)
                    .map_err(|error| Error::sort("read who is kept from what", error))
            })
            .await?;
        Ok(time(current))
    }

    /// Revokes a user's tokens of before a time. False where those of an even later time are revoked already.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn revoke_tokens(&self, revocation: &Revocation) -> Result<bool, Error> {
        let Revocation { user, before, by, at } = revocation;
        self.within(async {
            let failed = |error| Error::sort("revoke tokens", error);
            let mut transaction = self.begin().await?;
            let done = on_transaction!(&mut transaction, connection => {
                let version: (i64,) = sqlx::query_as(NEXT).fetch_one(&mut *connection).await.map_err(failed)?;
                let row = sqlx::query(REVOKE).bind(user.as_str()).bind(number(*before)).bind(by);
                let row = row.bind(number(*at)).bind(version.0);
                let done = row.execute(&mut *connection).await.map_err(failed)?.rows_affected();
                if done > 0 {
                    let mark = sqlx::query(SET_MARK).bind(version.0).bind(EventId::fresh().to_string());
                    mark.execute(&mut *connection).await.map_err(failed)?;
                }
                done
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
    pub async fn changes_since(&self, version: u64, limit: usize) -> Result<Vec<(u64, Change)>, Error> {
        let rows: Vec<SanctionRow> = self
            .within(async {
                on_reader!(self, pool => {
                    sqlx::query_as(SINCE).bind(number(version)).bind(number(limit as u64)).fetch_all(pool).await
                })
                .map_err(|error| Error::sort("read who is kept from what", error))
            })
            .await?;
        rows.into_iter().map(SanctionRow::change).collect()
    }

    /// Up to `limit` sanctions that stand at this time; those that end first come first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn sanctions(
        &self,
        kind: SanctionKind,
        now: Millis,
        Which { room, user }: Which<'_>,
        limit: usize,
    ) -> Result<Vec<Sanction>, Error> {
        let statement = kind.statements().in_force;
        let limit = number(limit as u64);
        let rows: Vec<SanctionRow> = self
            .within(async {
                on_reader!(self, pool => {
                    let rows = sqlx::query_as(statement).bind(number(now)).bind(room).bind(user).bind(limit);
                    rows.fetch_all(pool).await
                })
                .map_err(|error| Error::sort("list who is kept from what", error))
            })
            .await?;
        rows.into_iter().map(|row| row.sanction().map(|(_, sanction)| sanction)).collect()
    }

    /// Removes what ended before this time; returns how many.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn forget_sanctions(&self, ended_before: Millis) -> Result<u64, Error> {
        let mut forgotten = 0;
        for Statements { forget, .. } in [&MUTES, &BANS] {
            forgotten += self
                .within(async {
                    on_writer!(self, pool => {
                        let done = sqlx::query(*forget).bind(number(ended_before)).execute(pool).await;
                        done.map(|done| done.rows_affected())
                    })
                    .map_err(|error| Error::sort("forget what is over", error))
                })
                .await?;
        }
        self.within(async {
            on_writer!(self, pool => sqlx::query(FORGET_MARKS).execute(pool).await.map(drop))
                .map_err(|error| Error::sort("forget marks of old versions", error))
        })
        .await?;
        Ok(forgotten)
    }
}
