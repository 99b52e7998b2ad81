//! What the timeline counts, for the metrics.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Plain counters, from the start of the process; they only rise.
#[derive(Debug, Default)]
pub struct Counters {
    /// Pending events of other hubs, or too old ones, that this hub journaled.
    pub swept: AtomicU64,
    /// Times that the relay's queue, or the one before it, was full, so that rooms had to be compared by offset.
    pub relay_overflows: AtomicU64,
    /// Times that all subscriptions were made anew after a connection was lost or found deaf, or some because slots of a
    /// Redis Cluster moved.
    pub resubscriptions: AtomicU64,
    /// Generations opened by this hub.
    pub generations_opened: AtomicU64,
    /// Steps that were answered by another generation or another server, and were tried again.
    pub stale_appends: AtomicU64,
    /// Appends whose key was known already.
    pub known_keys: AtomicU64,
    /// Refusals forgotten before their time because too many were held (embedded).
    pub forgotten_refusals: AtomicU64,
    /// Relayed events that could not be read.
    pub unreadable_relays: AtomicU64,
    /// Signals left out because the relay's queue was full.
    pub lost_signals: AtomicU64,
    /// Signals that could not be read.
    pub unreadable_signals: AtomicU64,
    /// Signals of kinds that only other versions know.
    pub unknown_signals: AtomicU64,
    /// How many bytes the hot windows at hand take, roughly (embedded).
    pub window_bytes: AtomicU64,
    /// How many bytes of memory the fullest server of Redis uses.
    pub redis_used_memory: AtomicU64,
    /// The most that it may use; 0: as many as there are, or embedded.
    pub redis_max_memory: AtomicU64,
    /// Whether Redis answers and refuses to write, as of this hub's last sign of life.
    pub refuses_writes: AtomicBool,
    /// When the relay was last heard, in milliseconds since the first look at a clock; 0: not yet, or embedded.
    relay_heard_at: AtomicU64,
}

/// What the times in here are counted from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Counters {
    /// How long the relay has brought nothing, not even its own heartbeat. Embedded it is always zero.
    pub fn relay_stale(&self) -> Duration {
        match self.relay_heard_at.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            heard => START.elapsed().saturating_sub(Duration::from_millis(heard)),
        }
    }

    /// The relay has brought something.
    pub(super) fn relay_heard(&self) {
        let now = u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.relay_heard_at.store(now.max(1), Ordering::Relaxed);
    }

    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
