//! The timeline of the embedded hub: memory over the committed past.
//!
//! One writer takes everything that waits, gives out offsets, commits once, and only then lets anyone see or hear
//! anything. A batch whose commit failed has not happened: its offsets are given out again.

#[cfg(test)]
mod empty;
mod event_window;
mod refusals;
mod room_state;
mod writer;

use super::relays::Relays;
use super::{Appended, BoxError, Counters, Entry, Error, Known, Listeners, Outcome, Range, Relay, Window};
use crate::clock::now_ms;
use crate::journal;
use confab_protocol::signal::To;
use confab_protocol::{Cursor, EventId, Key, Millis, Present, Record, Refusal, Room, Signal, UserId};
use confab_store::KeyUse;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use refusals::Refusals;
use room_state::RoomState;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OnceCell, mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Writes records down, all or none.
pub trait Commit: Send + Sync + 'static {
    /// Commits the records in one transaction. `Refused` means that none is kept, `Unknown` that nobody can tell.
    fn commit(&self, records: Vec<Arc<Record>>) -> BoxFuture<'_, Result<(), Arc<journal::Error>>>;
}

/// What was committed before, so that a restart goes on where the last process ended.
pub trait Past: Send + Sync + 'static {
    /// The room's last cursor, in its newest epoch.
    fn top<'a>(&'a self, room: &'a Room) -> BoxFuture<'a, Result<Option<Cursor>, BoxError>>;
    /// The newest `count` records of the room's newest epoch, in order.
    fn window<'a>(&'a self, room: &'a Room, count: usize) -> BoxFuture<'a, Result<Vec<Record>, BoxError>>;
    /// The keys used in the room since then.
    fn keys<'a>(&'a self, room: &'a Room, since: Millis) -> BoxFuture<'a, Result<Vec<KeyUse>, BoxError>>;
}

/// How the embedded timeline is set up.
#[derive(Clone, Debug)]
pub struct MemoryOptions {
    /// The epoch of this process: rooms whose past ends in an older one begin anew in it.
    pub epoch: u64,
    /// How long a key is remembered.
    pub dedupe_window: Duration,
    /// How many events of a room are brought back from the past; an append says how many are kept.
    pub window_events: usize,
    /// The most rooms held; past it the least recently used are let go and brought back when they are touched.
    pub rooms_max: usize,
    /// The most bytes of all windows, roughly; past it rooms are let go as well.
    pub windows_bytes: usize,
    /// The most refusals held; past it the oldest are forgotten early, and counted.
    pub refusals_max: usize,
    /// The most events of one commit.
    pub batch_max: usize,
    /// The bound of the relay's queue.
    pub relay_queue: usize,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            epoch: 1,
            dedupe_window: Duration::from_secs(600),
            window_events: 1000,
            rooms_max: 10_000,
            windows_bytes: 256 << 20,
            refusals_max: 100_000,
            batch_max: 512,
            relay_queue: 4096,
        }
    }
}

/// The embedded timeline. Cheap to clone.
#[derive(Clone)]
pub struct Memory {
    inner: Arc<Inner>,
}

struct Inner {
    rooms: Arc<Rooms>,
    /// What waits for the writer. Full: appending waits, which is the back-pressure of the disk.
    appends: mpsc::Sender<Append>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Ends the tasks even if nobody closes the timeline.
    _stop_on_drop: DropGuard,
}

struct Append {
    entry: Entry,
    answer: oneshot::Sender<Result<Appended, Error>>,
}

impl Memory {
    /// Opens the timeline over `past`; new events go through `commit`. The receiver hears the subscribed rooms.
    pub fn open(
        options: MemoryOptions,
        commit: Arc<dyn Commit>,
        past: Arc<dyn Past>,
    ) -> (super::Timeline, mpsc::Receiver<Relay>) {
        let counters = Arc::<Counters>::default();
        let (relays, heard) = Relays::new(options.relay_queue, counters.clone());
        let (appends, waiting) = mpsc::channel(options.batch_max.max(1) * 2);
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let rooms = Arc::new(Rooms::new(options, past, relays.clone(), counters));
        tasks.spawn(relays.run(stop.clone()));
        tasks.spawn(writer::run(rooms.clone(), commit, waiting, stop.clone()));
        tasks.close();
        let _stop_on_drop = stop.clone().drop_guard();
        let inner = Inner { rooms, appends, tasks, stop, _stop_on_drop };
        (super::Timeline::Memory(Self { inner: Arc::new(inner) }), heard)
    }

    pub(super) async fn lookup(&self, room: &Room, sender: &UserId, key: &Key) -> Result<Option<Known>, Error> {
        self.inner.rooms.known(room, sender, key).await
    }

    pub(super) async fn append(&self, entry: &Entry, entered: impl FnOnce()) -> Result<Appended, Error> {
        let (answer, answered) = oneshot::channel();
        let append = Append { entry: entry.clone(), answer };
        let closed = |_| Error::Unavailable("it is closed".into());
        self.inner.appends.send(append).await.map_err(closed)?;
        entered();
        answered.await.map_err(|_| Error::Unknown("its writer has ended".into()))?
    }

    pub(super) async fn remember(
        &self,
        room: &Room,
        sender: &UserId,
        key: &Key,
        digest: &str,
        refusal: &Refusal,
    ) -> Result<Option<Known>, Error> {
        let rooms = &self.inner.rooms;
        let known = rooms.known(room, sender, key).await?;
        if known.is_none() {
            let refused = Known { digest: digest.to_owned(), outcome: Outcome::Refused(refusal.clone()) };
            rooms.refuse(room, sender, key, refused);
        }
        Ok(known)
    }

    pub(super) async fn read(&self, room: &Room, range: Range) -> Result<Window, Error> {
        Ok(self.inner.rooms.cell(room).await?.state()?.lock().read(range))
    }

    pub(super) async fn find(&self, room: &Room, id: EventId) -> Result<Option<Arc<Record>>, Error> {
        Ok(self.inner.rooms.cell(room).await?.state()?.lock().find(id))
    }

    pub(super) async fn deleted(&self, room: &Room, ids: &[EventId]) -> Result<HashSet<EventId>, Error> {
        Ok(self.inner.rooms.cell(room).await?.state()?.lock().deleted(ids))
    }

    pub(super) fn subscribe(&self, room: &Room) {
        self.inner.rooms.heard.lock().insert(room.clone());
    }

    pub(super) fn unsubscribe(&self, room: &Room) {
        self.inner.rooms.heard.lock().remove(room);
    }

    pub(super) fn attend(&self, changes: &[super::PresenceUpdate]) {
        for change in changes {
            if change.listed {
                self.note(change);
            }
            if let Some(signal) = change.signal() {
                self.tell(&signal);
            }
        }
    }

    fn note(&self, change: &super::PresenceUpdate) {
        let mut listeners = self.inner.rooms.listeners.lock();
        let here = listeners.entry(change.room.clone()).or_default();
        match change.here {
            true => here.insert(change.who.client.clone(), change.who.clone()),
            false => here.remove(&change.who.client),
        };
        if here.is_empty() {
            listeners.remove(&change.room);
        }
    }

    pub(super) fn tell(&self, signal: &Signal) {
        let rooms = &self.inner.rooms;
        let heard = match &signal.to {
            To::Room(room) => rooms.heard.lock().contains(room),
            To::User(_) | To::Hubs => true,
        };
        if heard {
            rooms.relays.signal(Arc::new(signal.clone()));
        }
    }

    pub(super) fn listeners(&self, room: &Room, max: usize) -> Listeners {
        let listeners = self.inner.rooms.listeners.lock();
        let Some(here) = listeners.get(room) else { return Listeners::default() };
        let some = here.iter().take(max).map(|(client, who)| (client.clone(), who.clone())).collect();
        Listeners { some, total: here.len() }
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.inner.rooms.counters
    }

    pub(super) async fn close(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.wait().await;
    }
}

/// The rooms at hand, and everything that the writer and readers share.
struct Rooms {
    options: MemoryOptions,
    past: Arc<dyn Past>,
    cells: Mutex<HashMap<Room, Arc<Cell>>>,
    /// Counts touches of rooms, so that the least recently used are known.
    touches: AtomicU64,
    refusals: Mutex<Refusals>,
    /// The rooms that this hub listens to.
    heard: Mutex<HashSet<Room>>,
    /// Who listens, by their sessions' names. One process: whoever is gone has said so.
    listeners: Mutex<HashMap<Room, BTreeMap<String, Present>>>,
    relays: Relays,
    counters: Arc<Counters>,
}

/// A room that is at hand, or is being brought back. Whoever holds a clone keeps it from being let go.
#[derive(Default)]
struct Cell {
    state: OnceCell<Mutex<RoomState>>,
    touched: AtomicU64,
}

impl Cell {
    fn state(&self) -> Result<&Mutex<RoomState>, Error> {
        self.state.get().ok_or_else(|| Error::Damaged("a room is used before it was brought back".into()))
    }
}

impl Rooms {
    fn new(options: MemoryOptions, past: Arc<dyn Past>, relays: Relays, counters: Arc<Counters>) -> Self {
        Self {
            refusals: Mutex::new(Refusals::new(options.refusals_max, counters.clone())),
            options,
            past,
            cells: Mutex::default(),
            touches: AtomicU64::default(),
            heard: Mutex::default(),
            listeners: Mutex::default(),
            relays,
            counters,
        }
    }

    /// The room, brought back from the past if it is not at hand.
    async fn cell(&self, room: &Room) -> Result<Arc<Cell>, Error> {
        let cell = {
            let mut cells = self.cells.lock();
            if !cells.contains_key(room) && cells.len() >= self.options.rooms_max {
                let some = cells.len() / 16 + 1;
                evict_idle(&mut cells, |evicted| evicted < some);
            }
            // A sixteenth less than the most, so that not every room after it looks at all others.
            let bytes = || self.counters.window_bytes.load(Ordering::Relaxed) as usize;
            if bytes() > self.options.windows_bytes {
                evict_idle(&mut cells, |_| bytes() > self.options.windows_bytes / 16 * 15);
            }
            cells.entry(room.clone()).or_default().clone()
        };
        cell.touched.store(self.touches.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        cell.state.get_or_try_init(|| self.bring_back(room)).await?;
        Ok(cell)
    }

    async fn bring_back(&self, room: &Room) -> Result<Mutex<RoomState>, Error> {
        let failed = |error: BoxError| Error::Unavailable(format!("past of room `{room}`: {error}"));
        let window = self.options.dedupe_window;
        let Some(top) = self.past.top(room).await.map_err(failed)? else {
            return Ok(Mutex::new(RoomState::new(Cursor::new(self.options.epoch, 0), window, self.counters.clone())));
        };
        let (top, records) = if top.epoch.0 < self.options.epoch {
            (Cursor::new(self.options.epoch, 0), Vec::new())
        } else {
            (top, self.past.window(room, self.options.window_events).await.map_err(failed)?)
        };
        let since = now_ms().saturating_sub(window.as_millis() as u64);
        let keys = self.past.keys(room, since).await.map_err(failed)?;
        Ok(Mutex::new(RoomState::restored(top, window, records, keys, self.counters.clone())))
    }

    /// Forgets rooms whose state is in doubt: they are brought back from the past when they are next touched.
    fn forget<'a>(&self, rooms: impl Iterator<Item = &'a Room>) {
        let mut cells = self.cells.lock();
        for room in rooms {
            cells.remove(room);
        }
    }

    async fn known(&self, room: &Room, sender: &UserId, key: &Key) -> Result<Option<Known>, Error> {
        let known = self.cell(room).await?.state()?.lock().known(sender, key, now_ms());
        Ok(known.or_else(|| self.refused(room, sender, key)))
    }

    fn refused(&self, room: &Room, sender: &UserId, key: &Key) -> Option<Known> {
        self.refusals.lock().get(room, sender, key, now_ms())
    }

    fn refuse(&self, room: &Room, sender: &UserId, key: &Key, refused: Known) {
        let until = now_ms() + self.options.dedupe_window.as_millis() as u64;
        self.refusals.lock().put(room, sender, key, refused, until, now_ms());
    }
}

/// Evicts the least recently used rooms for as long as more must go, but none that is in use.
fn evict_idle(cells: &mut HashMap<Room, Arc<Cell>>, more: impl Fn(usize) -> bool) {
    let mut idle: Vec<(u64, Room)> = cells
        .iter()
        .filter(|(_, cell)| Arc::strong_count(cell) == 1)
        .map(|(room, cell)| (cell.touched.load(Ordering::Relaxed), room.clone()))
        .collect();
    idle.sort_unstable();
    for (evicted, (_, room)) in idle.into_iter().enumerate() {
        if !more(evicted) {
            return;
        }
        cells.remove(&room);
    }
}
