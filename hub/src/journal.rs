//! The journal: the durable truth (Kafka, or SQLite when embedded).
//!
//! An append that is answered with `Ok` is kept: by every in-sync replica (`acks=all`), or by a committed transaction.
//! An append that is answered with [`Error::Refused`] is certainly not in the journal. Everything between is
//! [`Error::Unknown`]: appending the same record again is always safe, since copies of an id are legal.

mod kafka;
mod sqlite;

pub use kafka::{Kafka, Tail, dead_letters, topics};
pub use sqlite::Sqlite;

use confab_protocol::Record;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What went wrong with the journal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record is certainly not in the journal.
    #[error("could not journal: {0}")]
    Refused(String),
    /// The record may be in the journal or not.
    #[error("the journal did not answer: {0}")]
    Unknown(String),
    /// The settings of `[journal.kafka]` cannot be used; trying again will not help.
    #[error("{0}")]
    Settings(String),
    /// Something other than appending failed; it may work later.
    #[error("could not {doing}")]
    Failed {
        /// What was being done.
        doing: String,
        /// What the client library said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Where records are kept.
#[derive(Clone)]
pub enum Journal {
    /// The embedded hub's own file; journal and store are the same rows.
    Sqlite(Sqlite),
    /// Kafka.
    Kafka(Kafka),
}

impl Journal {
    /// Keeps one record. Dropping the future does not take the record back.
    pub async fn append(&self, record: &Arc<Record>) -> Result<(), Error> {
        match self {
            Self::Sqlite(sqlite) => sqlite.append_all(std::slice::from_ref(record)).await,
            Self::Kafka(kafka) => kafka.append(record).await,
        }
    }

    /// Whether an append that is started now can be expected to succeed. What `on_outage = "refuse"` asks.
    pub fn healthy(&self) -> bool {
        match self {
            // The file is as near as the process itself: a full disk shows in the append, which nobody has heard yet.
            Self::Sqlite(_) => true,
            Self::Kafka(kafka) => kafka.healthy(),
        }
    }

    /// The largest record that it takes, in bytes of its JSON; `None` where nothing but the limits of a body bounds it.
    pub fn record_bytes(&self) -> Option<usize> {
        match self {
            Self::Sqlite(_) => None,
            Self::Kafka(kafka) => Some(kafka.record_bytes()),
        }
    }

    /// Lets go of what is still on its way, at most for `deadline`. What does not make it is found by the sweep.
    pub async fn close(&self, deadline: std::time::Duration) {
        if let Self::Kafka(kafka) = self
            && let Err(error) = kafka.flush(deadline).await
        {
            tracing::warn!(%error, "the journal still held records when the hub ended");
        }
    }

    /// What has become of appends since the start.
    pub fn counters(&self) -> &Counters {
        match self {
            Self::Sqlite(sqlite) => sqlite.counters(),
            Self::Kafka(kafka) => kafka.counters(),
        }
    }
}

/// What has become of appends since the start, for metrics.
#[derive(Debug, Default)]
pub struct Counters {
    delivered: AtomicU64,
    refused: AtomicU64,
    unknown: AtomicU64,
    in_flight: AtomicU64,
    recreated: AtomicU64,
}

impl Counters {
    /// Appends answered with `Ok`.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Appends of which certainly nothing was kept.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Appends whose fate is not known.
    pub fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    /// Appends not answered yet.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// How often the Kafka producer was made anew after a fatal error.
    pub fn recreated(&self) -> u64 {
        self.recreated.load(Ordering::Relaxed)
    }

    fn started(&self, appends: u64) {
        self.in_flight.fetch_add(appends, Ordering::Relaxed);
    }

    fn answered<T>(&self, appends: u64, answer: &Result<T, Error>) {
        self.in_flight.fetch_sub(appends, Ordering::Relaxed);
        let counter = match answer {
            Ok(_) => &self.delivered,
            Err(Error::Unknown(_)) => &self.unknown,
            Err(_) => &self.refused,
        };
        counter.fetch_add(appends, Ordering::Relaxed);
    }
}
