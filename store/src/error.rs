//! What can go wrong with the store, and which of it may go right the next time.

use confab_protocol::EventId;

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
    /// The commit itself failed: what it would have stored may be stored or not, and after a crash may come back.
    #[error("could not tell whether a batch was committed")]
    InDoubt(#[source] sqlx::Error),
    /// Another consumer has moved this partition's position: this one has been replaced and must stop writing.
    #[error("position of {topic}/{partition} is {found:?}, expected {expected:?}: another consumer has taken over")]
    Fenced {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where this consumer thought it was; `None` if it thought that nobody had been here.
        expected: Option<i64>,
        /// Where the store is.
        found: Option<i64>,
    },
    /// A migration failed.
    #[error("could not migrate the store")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The schema was made by a newer program.
    #[error("the store has the schema {found}, this program knows schemas up to {known}: it is too old for this store")]
    Newer {
        /// The newest migration that the database has.
        found: i64,
        /// The newest migration that this program has.
        known: i64,
    },
    /// A record holds what no column can: it will never be stored, its neighbours can.
    #[error("event {id} cannot be stored: {what}")]
    Unstorable {
        /// The event.
        id: EventId,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A row cannot be read as what it should be.
    #[error("row of {table} is malformed: {what}")]
    Malformed {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        what: String,
    },
}

impl Error {
    /// Whether the same call may succeed later, with nothing changed but the time.
    pub fn temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Whether the database says that what it was given is at fault: values that no column takes (class 22), a broken rule of a
    /// table (23), or something past its limits (54). Anything else may have any cause, such as its own state.
    pub fn blames_the_data(&self) -> bool {
        let Self::Query { source, .. } = self else { return false };
        let code = source.as_database_error().and_then(|error| error.code());
        code.is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
    }

    /// Whether the database lacks something that every batch needs: a table, a column, a right. Not the record's fault,
    /// and gone when somebody has migrated or granted.
    pub fn of_the_schema(&self) -> bool {
        let Self::Query { source, .. } = self else { return false };
        let code = source.as_database_error().and_then(|error| error.code());
        // Syntax and access (undefined table, insufficient privilege), invalid schema, I/O trouble of the server.
        code.is_some_and(|code| ["42", "3F", "58"].iter().any(|class| code.starts_with(class)))
    }

    /// Sorts what the database layer said while `doing` something.
    pub(crate) fn sort(doing: &'static str, source: sqlx::Error) -> Self {
        if passes(&source) { Self::Unavailable(source) } else { Self::Query { doing, source } }
    }

    /// Sorts what SQLite said to a commit. Where it could not write, the frame that commits was not written either; of all
    /// else, such as a flush that failed, nobody knows what is on the disk.
    pub(crate) fn sort_commit(doing: &'static str, source: sqlx::Error) -> Self {
        let code = source.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse::<u32>().ok());
        match code {
            Some(SQLITE_FULL | SQLITE_IOERR_WRITE) => Self::Query { doing, source },
            _ => Self::InDoubt(source),
        }
    }

    /// Makes the error of a row that breaks the rules of its table.
    pub(crate) fn malformed(table: &'static str, what: impl ToString) -> Self {
        Self::Malformed { table, what: what.to_string() }
    }
}

/// The disk is full.
const SQLITE_FULL: u32 = 13;
/// The system did not take what was to be written.
const SQLITE_IOERR_WRITE: u32 = 778;

/// Whether the trouble is one that passes: the link, the server's state, or other writers.
fn passes(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        // What a link says that is closed where the server's first word should be, as a balancer without a server does.
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => match error.code().as_deref() {
            // SQLite: busy or locked, with their extended codes in the upper bytes.
            Some(code) if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() => {
                code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
            }
            // Connection trouble, too many connections or too little memory, the operator's intervention (also a
            // statement that ran out of time), a lost race with another transaction, a standby where a primary was.
            Some(code) => {
                ["08", "53", "57", "40"].iter().any(|class| code.starts_with(class))
                    || matches!(code, "25006" | "55P03")
            }
            None => false,
        },
        _ => false,
    }
}
