//! A copy of the embedded store in a file of its own, made while it is in use.

use crate::row::time;
use crate::store::on_reader;
use crate::{Error, Store};
use confab_protocol::Millis;
use sqlx::Row;
use std::path::Path;

/// What a store holds, in few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// How many events.
    pub events: u64,
    /// When the newest of them was said, in milliseconds since 1970.
    pub newest: Option<Millis>,
}

const CONTENTS: &str = "select count(*), max(at) from events";

impl Store {
    /// Writes everything that is committed at this moment into a file, which is empty or not there. Whoever writes meanwhile does not
    /// wait. What was deleted is not in the copy, not even in its free pages.
    ///
    /// # Errors
    /// [`Error::Query`]: the file cannot be written, or the store is no file.
    pub async fn copy_into(&self, file: &Path) -> Result<(), Error> {
        let failed = |source| Error::Query { doing: "copy the database", source };
        let Self::Sqlite(sqlite) = self else {
            return Err(failed(sqlx::Error::Configuration("only a database in a file can be copied".into())));
        };
        let path = file.to_str().ok_or_else(|| failed(sqlx::Error::Configuration("the path is not UTF-8".into())))?;
        sqlx::query("vacuum into ?").bind(path).execute(&sqlite.writer).await.map(drop).map_err(failed)
    }

    /// Looks through the whole database for damage.
    ///
    /// # Errors
    /// [`Error::Query`]: it is damaged, or none at all.
    pub async fn check_file(&self) -> Result<(), Error> {
        let failed = |source| Error::Query { doing: "check the database", source };
        let Self::Sqlite(sqlite) = self else { return Ok(()) };
        let found: String =
            sqlx::query_scalar("pragma quick_check(1)").fetch_one(&sqlite.writer).await.map_err(failed)?;
        match found.as_str() {
            "ok" => Ok(()),
            damage => Err(failed(sqlx::Error::Protocol(damage.to_owned()))),
        }
    }

    /// What it holds.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn contents(&self) -> Result<Contents, Error> {
        let row = on_reader!(self, pool => sqlx::query(CONTENTS).fetch_one(pool).await.and_then(|row| {
            Ok::<(i64, Option<i64>), sqlx::Error>((row.try_get(0)?, row.try_get(1)?))
        }));
        let (events, newest) = row.map_err(|error| Error::sort("count the events", error))?;
        Ok(Contents { events: u64::try_from(events).unwrap_or_default(), newest: newest.map(time) })
    }
}
