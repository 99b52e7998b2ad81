//! A journal in memory: what commits, what was committed, and what generations are opened in.

use confab_hub::journal;
use confab_hub::timeline::{BoxError, Commit, JournalAccess, Past};
use confab_protocol::{Cursor, EventId, Millis, Record, Room};
use confab_store::KeyUse;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// The journal. Its one list of records serves every face that the timeline knows.
pub struct Ledger {
    records: Mutex<Vec<Record>>,
    pub generations: AtomicU64,
    /// What the next commits answer instead of committing.
    refuses: Mutex<Option<journal::Error>>,
    /// How many commits may happen.
    pub commits: Semaphore,
    /// How many records the commits had, each.
    batches: Mutex<Vec<usize>>,
    /// Records that the tail has though they were stamped before its time: they were journaled late.
    pub late: Mutex<Vec<Record>>,
    /// Texts of records that could not be read.
    pub texts: Mutex<Vec<(Room, EventId, String)>>,
    /// Whether the tail can be read.
    pub tail_is_away: AtomicBool,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            records: Mutex::default(),
            generations: AtomicU64::new(1),
            refuses: Mutex::default(),
            commits: Semaphore::new(Semaphore::MAX_PERMITS),
            batches: Mutex::default(),
            late: Mutex::default(),
            texts: Mutex::default(),
            tail_is_away: AtomicBool::default(),
        }
    }
}

impl Ledger {
    /// One that commits only as often as it is permitted to.
    pub fn that_waits() -> Arc<Self> {
        Arc::new(Self { commits: Semaphore::new(0), ..Self::default() })
    }

    pub fn keep(&self, record: &Record) {
        self.records.lock().unwrap().push(record.clone());
    }

    pub fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap().clone()
    }

    pub fn of_room(&self, room: &Room) -> Vec<Record> {
        let mut records = self.records();
        records.retain(|record| record.event.room == *room);
        records
    }

    /// How many generations were opened.
    pub fn opened(&self) -> u64 {
        self.generations.load(Ordering::SeqCst) - 1
    }

    pub fn refuse(&self, error: Option<journal::Error>) {
        *self.refuses.lock().unwrap() = error;
    }

    pub fn batches(&self) -> Vec<usize> {
        self.batches.lock().unwrap().clone()
    }
}

fn used(record: &Record) -> KeyUse {
    let event = &record.event;
    KeyUse {
        sender: event.sender.user.clone(),
        key: event.key.clone(),
        id: event.id,
        cursor: record.cursor,
        digest: event.digest.clone(),
        at: event.at,
    }
}

impl Commit for Ledger {
    fn commit(&self, records: Vec<Arc<Record>>) -> BoxFuture<'_, Result<(), Arc<journal::Error>>> {
        Box::pin(async move {
            self.commits.acquire().await.unwrap().forget();
            if let Some(error) = self.refuses.lock().unwrap().take() {
                return Err(Arc::new(error));
            }
            self.batches.lock().unwrap().push(records.len());
            self.records.lock().unwrap().extend(records.iter().map(|record| (**record).clone()));
            Ok(())
        })
    }
}

impl Past for Ledger {
    fn top<'a>(&'a self, room: &'a Room) -> BoxFuture<'a, Result<Option<Cursor>, BoxError>> {
        Box::pin(async move { Ok(self.of_room(room).iter().map(|record| record.cursor).max()) })
    }

    fn window<'a>(&'a self, room: &'a Room, count: usize) -> BoxFuture<'a, Result<Vec<Record>, BoxError>> {
        Box::pin(async move {
            let mut records = self.of_room(room);
            records.sort_by_key(|record| record.cursor);
            Ok(records.split_off(records.len().saturating_sub(count)))
        })
    }

    fn keys<'a>(&'a self, room: &'a Room, since: Millis) -> BoxFuture<'a, Result<Vec<KeyUse>, BoxError>> {
        Box::pin(
            async move { Ok(self.of_room(room).iter().filter(|record| record.event.at >= since).map(used).collect()) },
        )
    }
}

impl JournalAccess for Ledger {
    fn open_generation(&self, above: u64) -> BoxFuture<'_, Result<u64, BoxError>> {
        Box::pin(async move {
            self.generations.fetch_max(above + 1, Ordering::SeqCst);
            Ok(self.generations.fetch_add(1, Ordering::SeqCst))
        })
    }

    fn newest_generation(&self) -> BoxFuture<'_, Result<u64, BoxError>> {
        Box::pin(async move { Ok(self.opened()) })
    }

    fn tail(&self, since: Millis) -> BoxStream<'_, Result<(Room, KeyUse), BoxError>> {
        if self.tail_is_away.load(Ordering::SeqCst) {
            return futures_util::stream::iter([Err("the journal is away".into())]).boxed();
        }
        let mut records = self.records();
        records.retain(|record| record.event.at >= since);
        records.extend(self.late.lock().unwrap().iter().cloned());
        futures_util::stream::iter(records).map(|record| Ok((record.event.room.clone(), used(&record)))).boxed()
    }

    fn end(&self) -> BoxFuture<'_, Result<String, BoxError>> {
        Box::pin(async move { Ok(self.records().len().to_string()) })
    }

    fn is_stored<'a>(&'a self, _end: &'a str) -> BoxFuture<'a, Result<bool, BoxError>> {
        Box::pin(async move { Ok(true) })
    }

    fn append_text<'a>(&'a self, room: &'a Room, id: EventId, text: &'a str) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(async move {
            self.texts.lock().unwrap().push((room.clone(), id, text.to_owned()));
            Ok(())
        })
    }

    fn append<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(async move {
            self.keep(record);
            Ok(())
        })
    }
}
