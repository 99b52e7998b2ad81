//! The two back-ends behind one face.

use crate::Error;
use crate::{postgres::Postgres, sqlite::Sqlite};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How to reach PostgreSQL.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// `postgres://user:password@host/database`, with `?sslmode=verify-full` where the link needs TLS.
    pub url: String,
    /// A PEM file of the authorities to trust, where they are not the system's.
    pub ca_file: Option<PathBuf>,
    /// The most connections of this process.
    pub connections: u32,
    /// How long a call may wait for a connection. A call as a whole may take ten times as long.
    pub timeout: Duration,
}

/// A store. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub enum Store {
    /// In a file, for one process.
    Sqlite(Sqlite),
    /// In PostgreSQL 14 or later, for any number of hubs and consumers.
    Postgres(Postgres),
}

impl Store {
    /// Opens the file, which is made if there is none. One store a file: a second process would have to wait for this
    /// one's writes.
    ///
    /// # Errors
    /// The file cannot be opened or is no database.
    pub async fn sqlite(path: &Path) -> Result<Self, Error> {
        Sqlite::open(path).await.map(Self::Sqlite).map_err(|error| Error::sort("open the database file", error))
    }

    /// Prepares to reach PostgreSQL. No connection is made until one is needed, so this succeeds while PostgreSQL is away.
    /// Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// The url is none, or speaks of settings that do not exist.
    pub fn postgres(options: &PostgresOptions) -> Result<Self, Error> {
        Postgres::prepare(options)
            .map(Self::Postgres)
            .map_err(|source| Error::Query { doing: "read the url of the store", source })
    }

    /// Asks the database for an answer, for health checks.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if there is none in time.
    pub async fn check(&self) -> Result<(), Error> {
        let one = on_reader!(self, pool => sqlx::query("select 1").execute(pool).await.map(drop));
        one.map_err(|error| Error::sort("ask the database for an answer", error))
    }

    /// Closes the connections, once the calls that use them are done. Later calls fail.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await,
            Self::Postgres(postgres) => postgres.pool.close().await,
        }
    }

    /// Starts a transaction that writes.
    pub(crate) async fn begin(&self) -> Result<Transaction, Error> {
        let begun = match self {
            Self::Sqlite(sqlite) => sqlite.begin().await.map(Transaction::Sqlite),
            Self::Postgres(postgres) => postgres.pool.begin().await.map(Transaction::Postgres),
        };
        begun.map_err(|error| Error::sort("begin a transaction", error))
    }

    /// Starts a transaction that reads, all of it from one moment.
    pub(crate) async fn snapshot(&self) -> Result<Transaction, Error> {
        let begun = match self {
            Self::Sqlite(sqlite) => sqlite.readers.begin().await.map(Transaction::Sqlite),
            Self::Postgres(postgres) => {
                let begun = postgres.pool.begin_with("begin isolation level repeatable read read only").await;
                begun.map(Transaction::Postgres)
            }
        };
        begun.map_err(|error| Error::sort("begin a snapshot", error))
    }

    /// Runs a call within the time that calls have. SQLite is in this process and has all the time it needs.
    pub(crate) async fn within<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match self {
            Self::Sqlite(_) => call.await,
            Self::Postgres(postgres) => tokio::time::timeout(postgres.deadline, call).await.unwrap_or_else(|_| {
                Err(Error::Unavailable(sqlx::Error::Io(std::io::Error::new(
                    std::io::ErrorKind::TimedOut,
                    format!("no answer within {:?}", postgres.deadline),
                ))))
            }),
        }
    }
}

/// A transaction on either back-end. Dropped without a commit, it is undone.
pub(crate) enum Transaction {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

impl Transaction {
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
        }
    }

    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.rollback().await,
            Self::Postgres(transaction) => transaction.rollback().await,
        }
    }
}

/// Evaluates an expression with `$pool` bound to a pool for reading, of either back-end. The SQL is the same for both.
macro_rules! on_reader {
    ($store:expr, $pool:ident => $body:expr) => {
        match $store {
            $crate::Store::Sqlite(sqlite) => {
                let $pool = &sqlite.readers;
                $body
            }
            $crate::Store::Postgres(postgres) => {
                let $pool = &postgres.pool;
                $body
            }
        }
    };
}

/// The same for writing, one statement at a time.
macro_rules! on_writer {
    ($store:expr, $pool:ident => $body:expr) => {
        match $store {
            $crate::Store::Sqlite(sqlite) => {
                let $pool = &sqlite.writer;
                $body
            }
            $crate::Store::Postgres(postgres) => {
                let $pool = &postgres.pool;
                $body
            }
        }
    };
}

/// The same inside a transaction.
macro_rules! on_transaction {
    ($transaction:expr, $connection:ident => $body:expr) => {
        match $transaction {
            $crate::store::Transaction::Sqlite(transaction) => {
                let $connection = &mut **transaction;
                $body
            }
            $crate::store::Transaction::Postgres(transaction) => {
                let $connection = &mut **transaction;
                $body
            }
        }
    };
}

pub(crate) use {on_reader, on_transaction, on_writer};
