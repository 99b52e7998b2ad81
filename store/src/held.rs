//! Events that wait for a moderator.

use crate::columns::from_row;
use crate::fold::MessageName;
use crate::row::{number, time};
use crate::store::{Transaction, on_reader, on_transaction, on_writer};
use crate::{Error, Store, storable};
use confab_protocol::{Body, Cursor, EventId, Held, HeldState, Millis, Record};
use sqlx::{FromRow, Row};
use std::collections::HashSet;
use std::time::SystemTime;
use uuid::Uuid;

const HOLD: &str = "insert into held (id, room, event, plugin, reason, held_at, state, says, sender, key, digest)
     select $1, $2, $3, $4, $5, $6, $7, $8, $9, $11, $12
     where (select count(*) from held where sender = $9 and state = 'waiting') < $10
     on conflict do nothing";
const STANDING: &str = "select id, state from held
     where id = $1 or (key = $2 and sender = $3 and room = $4 and digest = $5) limit 1";
const ANY: &str = "select exists (select 1 from held)";
/// The events that were held and published as the deleted message, as duplicates of it, and as edits of it.
const OF_MESSAGE: &str = "select id, event from held where id = $2 and room = $1
     union all
     select h.id, h.event from events e join held h on h.id = e.id
     where e.room = $1 and e.duplicate_of = $2 and not e.stands
     union all
     select h.id, h.event from events e join held h on h.id = e.id
     where e.room = $1 and e.target = $2 and e.kind = 'edit'";
const BLANK: &str = "update held set event = $2, says = null where id = $1";
const WITHDRAW: &str = "delete from held where id = $1 and state = 'waiting'";
const LIST: &str = "select event, plugin, reason, held_at, state, says from held
     where (cast($2 as text) is null or room = $2) order by held_at, id limit $1";
const LIST_IN: &str = "select event, plugin, reason, held_at, state, says from held
     where state = $3 and (cast($2 as text) is null or room = $2) order by held_at, id limit $1";
const ONE: &str = "select event, plugin, reason, held_at, state, says from held where id = $1";
/// One statement, so that of two moderators only one decides.
const DECIDE: &str = "update held set state = $2, decided_by = $3, decided_at = $4, decided_why = $5
     where id = $1 and state = 'waiting' returning event, plugin, reason, held_at, state, says";
const OVERRULE: &str = "update held set state = 'approved', decided_by = $2, decided_at = $3, decided_why = null
     where id = $1 and state = 'denied' returning event, plugin, reason, held_at, state, says";
const DECIDED: &str =
    "select event, plugin, reason, held_at, state, says, decided_by, decided_at, decided_why from held
     where decided_at >= $1 order by decided_at, id limit $2";

/// A held event on which somebody has decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The event, and the decision as its state.
    pub held: Held,
    /// Who decided.
    pub by: String,
    /// What they said for it.
    pub why: Option<String>,
    /// When, by the clock of the hub that was asked.
    pub at: Millis,
}

from_row! {
    struct HeldRow {
        event: String,
        plugin: String,
        reason: String,
        held_at: i64,
        state: String,
        /// A list in JSON; nothing where nothing is to be said.
        says: Option<String>,
    }
}

struct DecidedRow {
    held: HeldRow,
    decision: DecisionRow,
}

from_row! {
    struct DecisionRow {
        decided_by: String,
        decided_at: i64,
        decided_why: Option<String>,
    }
}

impl<'r, R: Row> FromRow<'r, R> for DecidedRow
where
    HeldRow: FromRow<'r, R>,
    DecisionRow: FromRow<'r, R>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self { held: HeldRow::from_row(row)?, decision: DecisionRow::from_row(row)? })
    }
}

/// Takes the words out of events that were held, published, and deleted since.
pub(crate) async fn blank(transaction: &mut Transaction, deleted: &HashSet<MessageName>) -> Result<(), Error> {
    let failed = |error| Error::sort("blank held events", error);
    if deleted.is_empty() {
        return Ok(());
    }
    on_transaction!(transaction, connection => {
        let any: bool = sqlx::query_scalar(ANY).fetch_one(&mut *connection).await.map_err(failed)?;
        for (room, id) in deleted.iter().filter(|_| any) {
            let found = sqlx::query_as(OF_MESSAGE).bind(room.as_str()).bind(id.0).fetch_all(&mut *connection).await;
            let found: Vec<(Uuid, String)> = found.map_err(failed)?;
            for (id, event) in found {
                let blanked = blanked(&event)?;
                sqlx::query(BLANK).bind(id).bind(blanked).execute(&mut *connection).await.map_err(failed)?;
            }
        }
    });
    Ok(())
}

fn read(event: &str) -> Result<Record, Error> {
    let record = Record::placed(event.as_bytes(), Cursor::default());
    record.map_err(|error| Error::malformed("held", format!("event: {error}")))
}

fn blanked(event: &str) -> Result<String, Error> {
    let Record { mut event, trail, .. } = read(event)?;
    event.body = Body::null();
    event.annotations.clear();
    Ok(Record::json_without_place(&event, &trail))
}

impl HeldRow {
    fn held(self) -> Result<Held, Error> {
        let record = read(&self.event)?;
        let state = HeldState::from_name(&self.state);
        let says = self.says.map_or(Ok(Vec::new()), |says| serde_json::from_str(&says));
        Ok(Held {
            event: record.event,
            trail: record.trail,
            plugin: self.plugin,
            reason: self.reason,
            held_at: time(self.held_at),
            state: state.ok_or_else(|| Error::malformed("held", format!("state: {}", self.state)))?,
            says: says.map_err(|error| Error::malformed("held", format!("says: {error}")))?,
        })
    }
}

impl Store {
    /// Sets an event aside, unless about `max` of its sender's wait already: then it says `None`. Returns the id and the state of
    /// the event that stands for its draft: where the same draft was held before, also under another id, that one stays as it
    /// is.
    ///
    /// # Errors
    /// [`Error::Unstorable`] if it holds what no column can; [`Error::Unavailable`] if the database does not answer.
    pub async fn hold(&self, held: &Held, max: usize) -> Result<Option<(EventId, HeldState)>, Error> {
        storable::check_held(held)?;
        let event = Record::json_without_place(&held.event, &held.trail);
        let says = (!held.says.is_empty()).then(|| serde_json::to_string(&held.says).expect("words have a JSON form"));
        let new = self.within(async {
            on_writer!(self, pool => {
                let row = sqlx::query(HOLD).bind(held.id().0).bind(held.event.room.as_str()).bind(&event);
                let row = row.bind(&held.plugin).bind(&held.reason).bind(number(held.held_at)).bind(held.state.as_str());
                let row = row.bind(&says).bind(held.event.sender.user.as_str()).bind(number(max as u64));
                let row = row.bind(held.event.key.as_str()).bind(&held.event.digest);
                row.execute(pool).await.map(|done| done.rows_affected() > 0)
            })
            .map_err(|error| Error::sort("hold an event", error))
        });
        if new.await? {
            return Ok(Some((held.id(), HeldState::Waiting)));
        }
        self.standing(held).await
    }

    /// What stands for a held event: itself, or the one that its draft was held as before.
    async fn standing(&self, held: &Held) -> Result<Option<(EventId, HeldState)>, Error> {
        let event = &held.event;
        let row: Option<(Uuid, String)> = self
            .within(async {
                on_writer!(self, pool => {
                    let row = sqlx::query_as(STANDING).bind(event.id.0).bind(event.key.as_str());
                    let row = row.bind(event.sender.user.as_str()).bind(event.room.as_str()).bind(&event.digest);
                    row.fetch_optional(pool).await
                })
                .map_err(|error| Error::sort("look for a held event", error))
            })
            .await?;
        let state = |name: String| {
            HeldState::from_name(&name).ok_or_else(|| Error::malformed("held", format!("state: {name}")))
        };
        row.map(|(id, name)| Ok((EventId(id), state(name)?))).transpose()
    }

    /// Takes back an event that was set aside, if nobody has decided on it: its draft turned out to stand elsewhere.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn withdraw(&self, id: EventId) -> Result<(), Error> {
        self.within(async {
            on_writer!(self, pool => sqlx::query(WITHDRAW).bind(id.0).execute(pool).await.map(drop))
                .map_err(|error| Error::sort("withdraw a held event", error))
        })
        .await
    }

    /// The oldest `limit` held events: those of one state or all, of one room or all.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn held(&self, state: Option<HeldState>, room: Option<&str>, limit: usize) -> Result<Vec<Held>, Error> {
        let limit = number(limit as u64);
        let rows: Vec<HeldRow> = self
            .within(async {
                on_reader!(self, pool => match state {
                    Some(state) => sqlx::query_as(LIST_IN).bind(limit).bind(room).bind(state.as_str()).fetch_all(pool).await,
                    None => sqlx::query_as(LIST).bind(limit).bind(room).fetch_all(pool).await,
                })
                .map_err(|error| Error::sort("list held events", error))
            })
            .await?;
        rows.into_iter().map(HeldRow::held).collect()
    }

    /// One held event.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn held_one(&self, id: EventId) -> Result<Option<Held>, Error> {
        let row: Option<HeldRow> = self
            .within(async {
                on_reader!(self, pool => sqlx::query_as(ONE).bind(id.0).fetch_optional(pool).await)
                    .map_err(|error| Error::sort("read a held event", error))
            })
            .await?;
        row.map(HeldRow::held).transpose()
    }

    /// Decides on an event that waits, in the name of `by` and for the reason `why`, and returns it as it is then. `None` if it does not wait:
    /// somebody else has decided, or there is no such event. Of two that decide at once, one gets the event.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn decide(
        &self,
        id: EventId,
        state: HeldState,
        by: &str,
        why: Option<&str>,
    ) -> Result<Option<Held>, Error> {
        let row: Option<HeldRow> = self
            .within(async {
                on_writer!(self, pool => {
                    let decision = sqlx::query_as(DECIDE).bind(id.0).bind(state.as_str()).bind(by);
                    decision.bind(number(now())).bind(why).fetch_optional(pool).await
                })
                .map_err(|error| Error::sort("decide on a held event", error))
            })
            .await?;
        row.map(HeldRow::held).transpose()
    }

    /// Turns a denial into an approval, for an event that was published all the same. `None` if it was not denied.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn overrule(&self, id: EventId, by: &str) -> Result<Option<Held>, Error> {
        let row: Option<HeldRow> = self
            .within(async {
                on_writer!(self, pool => {
                    sqlx::query_as(OVERRULE).bind(id.0).bind(by).bind(number(now())).fetch_optional(pool).await
                })
                .map_err(|error| Error::sort("overrule a denial", error))
            })
            .await?;
        row.map(HeldRow::held).transpose()
    }

    /// The oldest `limit` decisions that were made at this time or later.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn decided_since(&self, since: Millis, limit: usize) -> Result<Vec<Decided>, Error> {
        let limit = number(limit as u64);
        let rows: Vec<DecidedRow> = self
            .within(async {
                on_reader!(self, pool => sqlx::query_as(DECIDED).bind(number(since)).bind(limit).fetch_all(pool).await)
                    .map_err(|error| Error::sort("list decisions", error))
            })
            .await?;
        let decided = |row: DecidedRow| {
            let DecisionRow { decided_by: by, decided_why: why, decided_at } = row.decision;
            let at = time(decided_at);
            Ok(Decided { held: row.held.held()?, by, why, at })
        };
        rows.into_iter().map(decided).collect()
    }
}

fn now() -> Millis {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64)
}
