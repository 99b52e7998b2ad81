//! Pages of a room's past that many sessions want at the same time, each read once.
//!
//! A page that is being read is waited for by everyone who wants it; one that was read stays for a moment, since clients
//! that lost the same hub come back one after another. A deletion empties the cache, so that no body outlives it here.

use crate::background::Background;
use crate::dialect::Dialect;
use crate::outbox::Frame;
pub use crate::timeline::{EVENT_OVERHEAD, weigh};
use confab_protocol::{Cursor, Epoch, Record, Refusal};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// How long a page that was read stays.
const KEPT_FOR: Duration = Duration::from_secs(2);
/// The most bytes that pages of all rooms together may take before pages are let go as soon as they are read.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// The bytes of the pages in all caches of a hub.
pub type CacheBytes = Arc<AtomicUsize>;

/// PageKey page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PageKey {
    /// No events, only where the room stands. It is out of date as soon as it is read, so it never stays.
    Top,
    /// No events, only where the oldest one is that can be read.
    Oldest,
    /// The hot window's events of a block.
    Window(u64),
    /// The store's events of a block of an epoch.
    Store(Epoch, u64),
}

/// A part of a room's past.
#[derive(Debug)]
pub struct Page {
    /// The room's last place when it was read.
    pub top: Cursor,
    /// The oldest place there; `None` if nothing is.
    pub oldest: Option<Cursor>,
    /// The events, in order.
    pub records: Vec<Arc<Record>>,
    /// Places whose records cannot be read any more.
    pub unreadable: Vec<Cursor>,
    frames: [OnceLock<Vec<Frame>>; Dialect::COUNT],
    bytes: AtomicUsize,
    cached: CacheBytes,
}

impl Page {
    /// A page of these events.
    pub fn new(
        top: Cursor,
        oldest: Option<Cursor>,
        records: Vec<Arc<Record>>,
        unreadable: Vec<Cursor>,
        cached: &CacheBytes,
    ) -> Self {
        let bytes = records.iter().map(|record| weigh(record)).sum();
        cached.fetch_add(bytes, Ordering::Relaxed);
        Self {
            top,
            oldest,
            records,
            unreadable,
            frames: Default::default(),
            bytes: AtomicUsize::new(bytes),
            cached: cached.clone(),
        }
    }

    /// The events as frames of a dialect, encoded once.
    pub fn frames(&self, dialect: &Dialect) -> &[Frame] {
        self.frames[dialect.index()].get_or_init(|| {
            let frames: Vec<Frame> = self.records.iter().map(|record| dialect.publication(record)).collect();
            let bytes = frames.iter().map(Frame::len).sum();
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.cached.fetch_add(bytes, Ordering::Relaxed);
            frames
        })
    }

    /// Where the event after `at` stands in it.
    pub fn after(&self, at: Cursor) -> Option<usize> {
        let next = Cursor { epoch: at.epoch, offset: at.offset + 1 };
        self.records.binary_search_by_key(&next, |record| record.cursor).ok()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.cached.fetch_sub(self.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

type Loaded = Result<Arc<Page>, Refusal>;
type Flight = Shared<oneshot::Receiver<Loaded>>;

/// The pages of one room. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct PageCache {
    slots: Arc<Mutex<HashMap<PageKey, (u64, Flight)>>>,
}

/// A page, and whether it had to be read for whoever asked.
pub struct Taken {
    /// The page.
    pub page: Arc<Page>,
    /// False: somebody else had it read.
    pub read: bool,
}

impl PageCache {
    /// The page, read by `load` unless one that `serves` is there or on its way.
    ///
    /// # Errors
    /// Those of `load`; all who waited for the same reading get the same.
    pub async fn take(
        &self,
        background: &Background,
        key: PageKey,
        serves: impl Fn(&Page) -> bool,
        load: impl FnOnce() -> BoxFuture<'static, Result<Page, Refusal>>,
    ) -> Result<Taken, Refusal> {
        let mut load = Some(load);
        loop {
            let (number, flight, read) = self.find_or_begin(background, key, &mut load);
            let Ok(loaded) = flight.await else {
                self.evict(key, number); // its reading panicked, key has been logged
                return Err(Refusal::StoreUnavailable);
            };
            let page = loaded?;
            if read || serves(&page) {
                return Ok(Taken { page, read });
            }
            self.evict(key, number); // it was read before what is wanted was there
        }
    }

    fn find_or_begin<F>(&self, background: &Background, key: PageKey, load: &mut Option<F>) -> (u64, Flight, bool)
    where
        F: FnOnce() -> BoxFuture<'static, Result<Page, Refusal>>,
    {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let mut slots = self.slots.lock();
        if let Some((number, flight)) = slots.get(&key) {
            return (*number, flight.clone(), false);
        }
        let load = load.take().expect("a page is loaded once: the caller who loaded it takes it whatever it holds");
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        let flight = answered.shared();
        slots.insert(key, (number, flight.clone()));
        background.spawn(self.clone().read(background.stop(), key, number, load(), answer));
        (number, flight, true)
    }

    /// Reads a page, and evicts it when its time is over. A task of its own: whoever asked for it first may go.
    async fn read(
        self,
        stop: CancellationToken,
        key: PageKey,
        number: u64,
        load: BoxFuture<'static, Result<Page, Refusal>>,
        answer: oneshot::Sender<Loaded>,
    ) {
        let loaded = load.await.map(Arc::new);
        let stays = match &loaded {
            Ok(page) => key != PageKey::Top && page.cached.load(Ordering::Relaxed) <= BYTES_MAX,
            Err(_) => false,
        };
        drop(answer.send(loaded)); // nobody waits any more: then nobody misses it
        if stays {
            let _ = stop.run_until_cancelled(tokio::time::sleep(KEPT_FOR)).await;
        }
        self.evict(key, number);
    }

    fn evict(&self, key: PageKey, number: u64) {
        let mut slots = self.slots.lock();
        if slots.get(&key).is_some_and(|(standing, _)| *standing == number) {
            slots.remove(&key);
        }
    }

    /// Forgets every page.
    pub fn clear(&self) {
        self.slots.lock().clear();
    }
}

#[cfg(test)]
#[path = "page_cache/tests.rs"]
mod tests;
