//! SQLite: one connection writes, a few read, all on one file.

pub(crate) mod load;
mod plain;
mod values;
pub(crate) mod write;

pub(crate) use plain::Plain;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use std::path::Path;
use std::time::Duration;

/// How many connections read.
const READERS: u32 = 4;
/// How many rows a reading connection reads ahead of whoever asked: a row may have tens of kilobytes.
const ROWS_AHEAD: usize = 8;
/// How long a connection waits for another's lock.
const BUSY: Duration = Duration::from_secs(10);
/// The writer caches more statements than are in this crate, with every number of rows that they are made for.
const STATEMENTS: usize = 200;
/// The writer's pages in memory, in KiB (negative, as SQLite has it): a batch that touches many rooms fits.
const WRITER_CACHE: &str = "-16384";
/// After how many pages the log is brought into the file: seldom enough that a page which changes often is brought once.
const CHECKPOINT_PAGES: &str = "4000";

/// Connections to one SQLite file.
#[derive(Clone, Debug)]
pub struct Sqlite {
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
}

impl Sqlite {
    pub(crate) async fn open(path: &Path) -> Result<Self, sqlx::Error> {
        // WAL lets readers go on while the writer commits; FULL makes a commit survive a power cut.
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY)
            .statement_cache_capacity(STATEMENTS);
        // A deleted message must not be found in the file's free pages either.
        let writing = options.clone().pragma("secure_delete", "on");
        let writing = writing.pragma("cache_size", WRITER_CACHE).pragma("wal_autocheckpoint", CHECKPOINT_PAGES);
        let reading = options.create_if_missing(false).pragma("query_only", "on").row_buffer_size(ROWS_AHEAD);
        Ok(Self { writer: pool(1).connect_with(writing).await?, readers: pool(READERS).connect_lazy_with(reading) })
    }

    /// Begins a transaction that has the write lock from the start, so that it cannot fail for want of it later.
    pub(crate) async fn begin(&self) -> Result<sqlx::Transaction<'static, sqlx::Sqlite>, sqlx::Error> {
        self.writer.begin_with("begin immediate").await
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Connections to a file do not go away, so none is tested before use or closed for its age.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}
