//! How the timeline in Redis is set up.

use crate::redis::{SentinelOptions, Servers};
use confab_protocol::Room;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How the timeline in Redis is set up.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://` or `rediss://`, with the ACL user and password. Behind sentinels, and in a cluster, its host and
    /// port are not used.
    pub url: String,
    /// Where to ask who the primary is, if it is not the server that the url names.
    pub sentinel: Option<SentinelOptions>,
    /// Some nodes of a Redis Cluster, `host:port`, if the servers are one; the others are found.
    pub cluster: Vec<String>,
    /// A PEM file of the authorities to trust with `rediss://`, instead of the well-known ones.
    pub ca_file: Option<PathBuf>,
    /// What every key and relay channel begins with. No braces.
    pub prefix: String,
    /// Into how many buckets rooms fall (at least 1).
    pub buckets: u16,
    /// How long a command or a connection attempt may take.
    pub timeout: Duration,
    /// How long a silent hub still counts as alive.
    pub hub_lease: Duration,
    /// How long a key is remembered.
    pub dedupe_window: Duration,
    /// How long the journal's client tries to deliver a record; older pending entries are swept, `sweep_margin` later.
    pub delivery_timeout: Duration,
    /// See `delivery_timeout`.
    pub sweep_margin: Duration,
    /// The bound of the relay's queue.
    pub relay_queue: usize,
    /// Names this process. No two processes, not even one after the other, may share it.
    pub hub_id: String,
    /// Where it says what it waits for while it connects.
    pub waits_for: WaitsFor,
    /// How much of a room's past is kept at hand, for events that another hub left.
    pub window_of: WindowOf,
}

/// What a start waits for, in words, for whoever asks meanwhile. Cheap to clone.
#[derive(Clone, Default)]
pub struct WaitsFor(Arc<Mutex<Option<String>>>);

impl WaitsFor {
    /// Notes what it is.
    pub fn note(&self, what: &impl std::fmt::Display) {
        *self.0.lock() = Some(what.to_string());
    }

    /// What was noted last, if anything was.
    pub fn say(&self) -> Option<String> {
        self.0.lock().clone()
    }
}

/// How many events of a room are kept at hand, and for how long where it is idle. Cheap to clone.
#[derive(Clone)]
pub struct WindowOf(Arc<OfRoom>);

type OfRoom = dyn Fn(&Room) -> (usize, Duration) + Send + Sync;

impl WindowOf {
    /// As this function says.
    pub fn new(of: impl Fn(&Room) -> (usize, Duration) + Send + Sync + 'static) -> Self {
        Self(Arc::new(of))
    }

    /// Those of a room.
    pub fn room(&self, room: &Room) -> (usize, Duration) {
        (self.0)(room)
    }
}

impl Default for WindowOf {
    fn default() -> Self {
        Self::new(|_| (1000, Duration::from_secs(24 * 3600)))
    }
}

impl RedisOptions {
    /// The defaults of hub.toml, for this server and hub.
    pub fn new(url: impl Into<String>, hub_id: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            sentinel: None,
            cluster: Vec::new(),
            ca_file: None,
            prefix: "confab".into(),
            buckets: 64,
            timeout: Duration::from_secs(2),
            hub_lease: Duration::from_secs(5),
            dedupe_window: Duration::from_secs(600),
            delivery_timeout: Duration::from_secs(30),
            sweep_margin: Duration::from_secs(5),
            relay_queue: 4096,
            hub_id: hub_id.into(),
            waits_for: WaitsFor::default(),
            window_of: WindowOf::default(),
        }
    }

    /// Where the servers are and how they are reached.
    pub fn servers(&self) -> Servers {
        Servers {
            url: self.url.clone(),
            sentinel: self.sentinel.clone(),
            cluster: self.cluster.clone(),
            ca_file: self.ca_file.clone(),
            timeout: self.timeout,
            hub_id: self.hub_id.clone(),
        }
    }
}

impl std::fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The url holds a password.
        f.debug_struct("RedisOptions")
            .field("prefix", &self.prefix)
            .field("hub_id", &self.hub_id)
            .finish_non_exhaustive()
    }
}
