//! The store: PostgreSQL and SQLite, and the fold that turns events into messages. Used by the hub and the consumer.
//!
//! Every projection is a fold by (epoch, seq): a field remembers the cursor that wrote it and an older one never
//! overwrites it, so the order in which records arrive does not matter to what is served.

use confab_protocol::{Cursor, EventId, Key, Millis, Record, UserId};

/// What went wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be reached, or did not answer in time: worth another try.
    #[error("could not reach the store")]
    Unavailable(#[source] sqlx::Error),
    /// The database answered with an error.
    #[error("could not {doing}")]
    Query {
        /// What was being done.
        doing: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// Another consumer has moved this partition's position: this one has been replaced and must stop writing.
    #[error("position of {topic}/{partition} is {found:?}, expected {expected}: another consumer has taken over")]
    Fenced {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where this consumer thought it was.
        expected: i64,
        /// Where the store is.
        found: Option<i64>,
    },
    /// The database's schema is newer than this program, or a migration failed.
    #[error("could not migrate the store")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A row cannot be read as what it should be.
    #[error("row of {table} is malformed: {what}")]
    Malformed {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        what: String,
    },
}

/// One record on its way into the store, or one that could not be read.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A record of the journal.
    Record(Box<Record>),
    /// A record that cannot be read. Where its place is known an `unreadable` row keeps the place.
    Unreadable {
        /// The room and place, if its key and headers gave them.
        place: Option<(confab_protocol::Room, Cursor, EventId)>,
        /// Why it cannot be read.
        reason: String,
    },
}

/// A partition's position, moved in the same transaction as the rows. Positions are the offset of the *next* record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Where the store must be for this batch to be taken (the fence); `None` for a partition never seen.
    pub expected: Option<i64>,
    /// Where it is afterwards.
    pub next: i64,
}

/// Which events of a room to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Read from here, this place not included. `None`: from the beginning, or, backwards, from the end.
    pub since: Option<Cursor>,
    /// From new to old.
    pub reverse: bool,
    /// The most events.
    pub limit: usize,
}

/// Events of one epoch, in order, without a hole.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The events. Bodies of deleted ones are `null`.
    pub records: Vec<Record>,
    /// Where to go on reading; `None` when the store has nothing further. Going forwards from the last event of an
    /// epoch that has a successor, this is the cursor (next epoch, 0).
    pub next: Option<Cursor>,
    /// How far the room's newest epoch is known without a hole; `None` if the store knows nothing of the room.
    pub through: Option<Cursor>,
}

/// What a key was used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// Whose key.
    pub sender: UserId,
    /// The key.
    pub key: Key,
    /// The event it named.
    pub id: EventId,
    /// Its place.
    pub cursor: Cursor,
    /// The digest of the draft.
    pub digest: String,
    /// When it was stamped.
    pub at: Millis,
}
