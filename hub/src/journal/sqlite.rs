//! The embedded journal: the store's own rows, committed before anyone hears of them.

use super::{Counters, Error};
use confab_protocol::Record;
use confab_store::{Entry, Error as StoreError, Store};
use std::sync::Arc;

/// The embedded journal. Cheap to clone.
#[derive(Clone)]
pub struct Sqlite {
    store: Store,
    counters: Arc<Counters>,
}

impl Sqlite {
    /// A journal that keeps its records in this (SQLite) store.
    pub fn new(store: Store) -> Self {
        Self { store, counters: Arc::default() }
    }

    /// Keeps all these records in one transaction, or none of them. Batching (group commit) is the caller's.
    ///
    /// A failure, a full disk too, is [`Error::Refused`]: the transaction was rolled back. Where the commit itself failed, it
    /// is [`Error::Unknown`]: what is on the disk may come back with the next start. Run it to its end: a
    /// caller that drops the future cannot know whether the commit happened.
    pub async fn append_all(&self, records: &[Arc<Record>]) -> Result<(), Error> {
        let appends = records.len() as u64;
        let entries: Vec<Entry> = records.iter().cloned().map(Entry::Record).collect();
        self.counters.started(appends);
        let answer = match self.store.apply(&entries, &[]).await {
            Ok(_) => Ok(()),
            Err(error @ StoreError::InDoubt(_)) => Err(Error::Unknown(chain(&error))),
            Err(error) => Err(Error::Refused(chain(&error))),
        };
        self.counters.answered(appends, &answer);
        answer
    }

    /// What has become of appends since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// An error with its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
