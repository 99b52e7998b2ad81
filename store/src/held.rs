//! Events that wait for a moderator.

use crate::row::{number, time};
use crate::store::{on_reader, on_writer};
use crate::{Error, Store, storable};
use confab_protocol::{Cursor, EventId, Held, HeldState, Record};
use std::time::SystemTime;

const HOLD: &str =
    "insert into held (id, room, event, plugin, reason, held_at, state) values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (id) do nothing";
const LIST: &str = "select event, plugin, reason, held_at, state from held order by held_at, id limit $1";
const LIST_IN: &str =
    "select event, plugin, reason, held_at, state from held where state = $2 order by held_at, id limit $1";
const ONE: &str = "select event, plugin, reason, held_at, state from held where id = $1";
/// One statement, so that of two moderators only one decides.
const DECIDE: &str = "update held set state = $2, decided_by = $3, decided_at = $4 where id = $1 and state = 'waiting'
     returning event, plugin, reason, held_at, state";

#[derive(sqlx::FromRow)]
struct HeldRow {
    event: String,
    plugin: String,
    reason: String,
    held_at: i64,
    state: String,
}

impl HeldRow {
    fn held(self) -> Result<Held, Error> {
        let record = Record::placed(self.event.as_bytes(), Cursor::default())
            .map_err(|error| Error::malformed("held", format!("event: {error}")))?;
        let state = HeldState::from_name(&self.state);
        Ok(Held {
            event: record.event,
            trail: record.trail,
            plugin: self.plugin,
            reason: self.reason,
            held_at: time(self.held_at),
            state: state.ok_or_else(|| Error::malformed("held", format!("state: {}", self.state)))?,
        })
    }
}

impl Store {
    /// Sets an event aside. One that is there already stays as it is.
    ///
    /// # Errors
    /// [`Error::Unstorable`] if it holds what no column can; [`Error::Unavailable`] if the database does not answer.
    pub async fn hold(&self, held: &Held) -> Result<(), Error> {
        storable::check_held(held)?;
        let event = Record::json_without_place(&held.event, &held.trail);
        self.within(async {
            on_writer!(self, pool => {
                let row = sqlx::query(HOLD).bind(held.id().0).bind(held.event.room.as_str()).bind(&event);
                let row = row.bind(&held.plugin).bind(&held.reason).bind(number(held.held_at)).bind(held.state.as_str());
                row.execute(pool).await.map(drop)
            })
            .map_err(|error| Error::sort("hold an event", error))
        })
        .await
    }

    /// The oldest `limit` held events, those of one state or all.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn held(&self, state: Option<HeldState>, limit: usize) -> Result<Vec<Held>, Error> {
        let limit = number(limit as u64);
        let rows: Vec<HeldRow> = self
            .within(async {
                on_reader!(self, pool => match state {
                    Some(state) => sqlx::query_as(LIST_IN).bind(limit).bind(state.as_str()).fetch_all(pool).await,
                    None => sqlx::query_as(LIST).bind(limit).fetch_all(pool).await,
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

    /// Decides on an event that waits, in the name of `by`, and returns it as it is then. `None` if it does not wait:
    /// somebody else has decided, or there is no such event. Of two that decide at once, one gets the event.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn decide(&self, id: EventId, state: HeldState, by: &str) -> Result<Option<Held>, Error> {
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64);
        let row: Option<HeldRow> = self
            .within(async {
                on_writer!(self, pool => {
                    let decision = sqlx::query_as(DECIDE).bind(id.0).bind(state.as_str()).bind(by).bind(number(now));
                    decision.fetch_optional(pool).await
                })
                .map_err(|error| Error::sort("decide on a held event", error))
            })
            .await?;
        row.map(HeldRow::held).transpose()
    }
}
