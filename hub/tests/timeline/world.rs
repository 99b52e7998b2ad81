//! A timeline under test, the journal under it, and small helpers.

use crate::ledger::Ledger;
use confab_hub::timeline::{
    Appended, Entry, Known, Memory, MemoryOptions, Outcome, Placed, Range, Redis, RedisOptions, Relay, Timeline, Window,
};
use confab_protocol::{Annotations, Body, Cursor, Event, EventId, Key, Kind, Record, Room, Sender, Trail, UserId};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// How long anything that must come may take.
pub const DEADLINE: Duration = Duration::from_secs(15);

/// A timeline, what it relays, and its journal.
pub struct World {
    pub timeline: Timeline,
    pub heard: Receiver<Relay>,
    pub ledger: Arc<Ledger>,
}

impl World {
    pub async fn memory() -> Self {
        Self::memory_with(MemoryOptions::default(), Arc::default()).await
    }

    pub async fn memory_with(options: MemoryOptions, ledger: Arc<Ledger>) -> Self {
        let (timeline, heard) = Memory::open(options, ledger.clone(), ledger.clone());
        Self { timeline, heard, ledger }
    }

    pub async fn redis() -> Self {
        Self::redis_with(redis_options(), Arc::default()).await
    }

    /// In a Redis Cluster.
    pub async fn cluster() -> Self {
        Self::redis_with(cluster_options(), Arc::default()).await
    }

    pub async fn redis_with(options: RedisOptions, ledger: Arc<Ledger>) -> Self {
        let connected =
            timeout(DEADLINE, Redis::connect(options, ledger.clone())).await.expect("redis is there in time");
        let (timeline, heard) = connected.expect("redis can be used");
        let world = Self { timeline, heard, ledger };
        world.until_taking().await;
        world
    }

    /// Waits until old keys are taken: a new generation has its keys back.
    pub async fn until_taking(&self) {
        let old = (room("lobby"), user("nobody"), key("an old key"));
        eventually("keys are taken", async || self.timeline.lookup(&old.0, &old.1, &old.2).await.ok()).await;
    }

    /// Appends and expects a place.
    pub async fn place(&self, entry: &Entry) -> Placed {
        match self.timeline.append(entry).await.expect("appended") {
            Appended::Placed(placed) => placed,
            Appended::Known(known) => panic!("the key is known: {known:?}"),
        }
    }

    /// Appends, journals and settles, as the way in does.
    pub async fn publish(&self, entry: &Entry) -> Arc<Record> {
        let placed = self.place(entry).await;
        if let Some(pending) = &placed.pending {
            self.ledger.keep(&placed.record);
            self.timeline.settle(pending).await.expect("settled");
        }
        placed.record
    }

    /// Appends and expects that the key is known.
    pub async fn known(&self, entry: &Entry) -> Known {
        match self.timeline.append(entry).await.expect("appended") {
            Appended::Known(known) => known,
            Appended::Placed(placed) => panic!("it was placed: {placed:?}"),
        }
    }

    pub async fn read(&self, name: &str, since: Option<u64>, reverse: bool, limit: usize) -> Window {
        self.timeline.read(&room(name), Range { since, reverse, limit, bytes: usize::MAX }).await.expect("read")
    }

    /// The next event that is heard.
    pub async fn hears(&mut self) -> Arc<Record> {
        match self.relayed().await {
            Relay::Event(record) => record,
            Relay::Compare => panic!("asked to compare where an event was expected"),
            Relay::Signal(signal) => panic!("{signal:?} where an event was expected"),
        }
    }

    pub async fn relayed(&mut self) -> Relay {
        timeout(DEADLINE, self.heard.recv()).await.expect("something is heard in time").expect("the relay lives")
    }

    /// Waits until the relay connection was made again this often.
    pub async fn resubscribes(&self, times: u64) {
        let made = &self.timeline.counters().resubscriptions;
        eventually("the relay is back", async || (made.load(Ordering::Relaxed) >= times).then_some(())).await;
    }

    /// Waits for the request to compare; events before it are passed over.
    pub async fn hears_compare(&mut self) {
        while let Relay::Event(_) = self.relayed().await {}
    }
}

/// Options for the shared test server, with a prefix of their own.
pub fn redis_options() -> RedisOptions {
    let url = std::env::var("CONFAB_TEST_REDIS").expect("run `cargo xtask test`, which starts the services");
    options_for(&url)
}

/// Options for the shared Redis Cluster, with a prefix of their own.
pub fn cluster_options() -> RedisOptions {
    let nodes = std::env::var("CONFAB_TEST_REDIS_CLUSTER").expect("run `cargo xtask test`, which starts the services");
    options_in(nodes.split(',').map(str::to_owned).collect())
}

/// Options for a Redis Cluster with these nodes.
pub fn options_in(nodes: Vec<String>) -> RedisOptions {
    RedisOptions { cluster: nodes, ..options_for("redis://not-used.invalid") }
}

pub fn options_for(url: &str) -> RedisOptions {
    RedisOptions {
        prefix: format!("test-{}", uuid::Uuid::now_v7().simple()),
        buckets: 8,
        ..RedisOptions::new(url, hub_id())
    }
}

pub fn hub_id() -> String {
    format!("hub-{}", uuid::Uuid::now_v7().simple())
}

pub fn room(name: &str) -> Room {
    Room::new(name).unwrap()
}

pub fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

/// A message of Ada's, with a digest made of its text.
pub fn entry(room_name: &str, key_name: &str, text: &str) -> Entry {
    let event = Event {
        kind: Kind::Message,
        id: EventId::fresh(),
        room: room(room_name),
        sender: Sender { user: user("ada"), client: None, info: None },
        key: key(key_name),
        digest: format!("digest of {text}"),
        at: now_ms(),
        body: Body::of(&serde_json::json!({ "text": text })),
        target: None,
        thread: None,
        annotations: Annotations::new(),
    };
    Entry { event, trail: Trail::default(), window_events: 100, window_age: Duration::from_secs(60) }
}

/// Something done to another event.
pub fn act(kind: Kind, room_name: &str, key_name: &str, target: EventId) -> Entry {
    let mut entry = entry(room_name, key_name, kind.as_str());
    entry.event.kind = kind;
    entry.event.target = Some(target);
    entry
}

pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

pub fn journaled(known: &Known) -> (EventId, Cursor) {
    match known.outcome {
        Outcome::Journaled { id, cursor } => (id, cursor),
        ref other => panic!("not journaled: {other:?}"),
    }
}

pub fn pending(known: &Known) -> (EventId, Cursor) {
    match known.outcome {
        Outcome::Pending { id, cursor } => (id, cursor),
        ref other => panic!("not pending: {other:?}"),
    }
}

pub fn offsets(window: &Window) -> Vec<u64> {
    window.records.iter().map(|record| record.cursor.offset).collect()
}

/// Asks again and again until there is an answer.
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    crate::waiting::until(what, DEADLINE, ask).await
}
