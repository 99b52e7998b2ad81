//! The journal: the durable truth (Kafka, or SQLite when embedded).

/// What went wrong with the journal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record is certainly not in the journal.
    #[error("could not journal: {0}")]
    Refused(String),
    /// The record may be in the journal or not.
    #[error("the journal did not answer: {0}")]
    Unknown(String),
}
