//! The consumer: journal to store, rows and position in one transaction.
//!
//! A [`Source`](source::Source) gives records and the news of which partitions are ours; a [`Batch`](batch::Batch) holds
//! what goes into one transaction; [`Consumer::run`] moves one into the other until it is told to stop.
//!
//! What it promises: every record of the journal has its row once, in the order of its partition, however often the
//! consumer is killed, paused or doubled. The position stands in the store, moves in the rows' own transaction and only
//! from where this consumer thought it was, so one that has been replaced writes nothing. A record that cannot be stored
//! goes to the dead letters, and its neighbours are stored.

pub mod admin;
pub mod batch;
pub mod metrics;
pub mod retention;
pub mod run;
pub mod source;
pub mod stopped;
mod storing;

pub use metrics::Metrics;
pub use run::Consumer;

/// What ends a consumer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings cannot be used; trying again will not help.
    #[error("{0}")]
    Settings(String),
    /// Kafka's client gave up for good.
    #[error("the source failed for good: {0}")]
    Source(String),
}
