//! PostgreSQL: batches travel as arrays, so that a batch of any size is a handful of statements.

pub(crate) mod load;
pub(crate) mod write;

use crate::PostgresOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor};
use std::str::FromStr;
use std::time::Duration;

/// A call may take this many times as long as it may wait for a connection.
const DEADLINE_TIMEOUTS: u32 = 10;

/// Connections to PostgreSQL, made when they are needed.
#[derive(Clone, Debug)]
pub struct Postgres {
    pub(crate) pool: PgPool,
    pub(crate) deadline: Duration,
}

impl Postgres {
    pub(crate) fn prepare(options: &PostgresOptions) -> Result<Self, sqlx::Error> {
        let mut connect = PgConnectOptions::from_str(&options.url)?.application_name("confab");
        if let Some(ca_file) = &options.ca_file {
            connect = connect.ssl_root_cert(ca_file);
        }
        let deadline = options.timeout.saturating_mul(DEADLINE_TIMEOUTS);
        // Every query here is made for an index. The planner knows that only once it has statistics, and it may keep a
        // plan that it made while a table was empty: without this, the first hours of a new store are its slowest.
        let settings =
            format!("set statement_timeout = {}; set enable_seqscan = off; set jit = off", deadline.as_millis());
        let pool = PgPoolOptions::new()
            .max_connections(options.connections.max(1))
            .acquire_timeout(options.timeout)
            .after_connect(move |connection, _| {
                let settings = settings.clone();
                Box::pin(async move { connection.execute(sqlx::raw_sql(AssertSqlSafe(settings))).await.map(drop) })
            })
            .connect_lazy_with(connect);
        Ok(Self { pool, deadline })
    }
}
