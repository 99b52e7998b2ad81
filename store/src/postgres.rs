//! PostgreSQL: batches travel as arrays, so that a batch of any size is a handful of statements.

pub(crate) mod load;
pub(crate) mod write;

use crate::PostgresOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A call may take this many times as long as it may wait for a connection.
const DEADLINE_TIMEOUTS: u32 = 10;

/// Every query here is made for one index and a nested loop. Plans are made anew each time, which takes about a
/// millisecond for a batch's, because one made while the tables were empty would be kept long after.
const PLANS: &str = "set plan_cache_mode = force_custom_plan; set jit = off; \
                     set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off";

/// After how many events of this process the planner is given statistics. PostgreSQL does it by itself, but only a minute
/// after a new store has begun to fill, and until then takes the wrong indexes: a batch's keys were found in 246 ms
/// instead of 7.
const ANALYZE_AT: [u64; 3] = [1_000, 10_000, 100_000];

/// Connections to PostgreSQL, made when they are needed.
#[derive(Clone, Debug)]
pub struct Postgres {
    pub(crate) pool: PgPool,
    pub(crate) deadline: Duration,
    events: Arc<AtomicU64>,
}

impl Postgres {
    pub(crate) fn prepare(options: &PostgresOptions) -> Result<Self, sqlx::Error> {
        let mut connect = PgConnectOptions::from_str(&options.url)?.application_name("confab");
        if let Some(ca_file) = &options.ca_file {
            connect = connect.ssl_root_cert(ca_file);
        }
        let deadline = options.timeout.saturating_mul(DEADLINE_TIMEOUTS);
        let settings = format!("set statement_timeout = {}; {PLANS}", deadline.as_millis());
        let pool = PgPoolOptions::new()
            .max_connections(options.connections.max(1))
            .acquire_timeout(options.timeout)
            .after_connect(move |connection, _| {
                let settings = settings.clone();
                Box::pin(async move { connection.execute(sqlx::raw_sql(AssertSqlSafe(settings))).await.map(drop) })
            })
            .connect_lazy_with(connect);
        Ok(Self { pool, deadline, events: Arc::default() })
    }

    /// Counts the events that were stored, and gives the planner statistics where it is time. That it fails harms nobody
    /// but the planner, so it is only logged.
    pub(crate) async fn stored(&self, events: usize) {
        let before = self.events.fetch_add(events as u64, Ordering::Relaxed);
        if ANALYZE_AT.iter().any(|at| (before..before + events as u64).contains(&(at - 1)))
            && let Err(error) = self.pool.execute("analyze events, messages, reactions").await
        {
            tracing::warn!(%error, "could not give the planner statistics: batches may be slow for a minute");
        }
    }
}
