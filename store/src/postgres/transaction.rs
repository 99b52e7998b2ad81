//! A transaction whose connection is used again only if the transaction came to its end.
//!
//! One that was given up on its way may have a half-sent COPY on its connection, and answers would no longer fit
//! questions. Closing the connection undoes the transaction as well as a rollback does.

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Executor, Postgres};
use std::ops::{Deref, DerefMut};

/// A transaction that is under way.
pub(crate) struct PgTransaction {
    /// There until it is dropped.
    connection: Option<PoolConnection<Postgres>>,
    ended: bool,
}

impl PgTransaction {
    pub async fn begin(pool: &PgPool) -> Result<Self, sqlx::Error> {
        let mut transaction = Self { connection: Some(pool.acquire().await?), ended: false };
        transaction.execute("begin").await?;
        Ok(transaction)
    }

    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.end("commit").await
    }

    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        self.end("rollback").await
    }

    async fn end(mut self, how: &'static str) -> Result<(), sqlx::Error> {
        self.execute(how).await?;
        self.ended = true;
        Ok(())
    }
}

impl Drop for PgTransaction {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|_| !self.ended) {
            drop(connection.detach());
        }
    }
}

impl Deref for PgTransaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect("it is there until it is dropped")
    }
}

impl DerefMut for PgTransaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("it is there until it is dropped")
    }
}
