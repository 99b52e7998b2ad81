//! Metrics that are read off other parts at each scrape.

use super::Hub;
use crate::telemetry::Kind::{self, Counter, Gauge};
use std::sync::atomic::{AtomicU64, Ordering};

/// A metric, and where it is read.
#[derive(Clone, Copy)]
pub struct Metric {
    /// Its name, without the prefix.
    pub name: &'static str,
    /// Whether it rises only.
    pub kind: Kind,
    /// What it is.
    pub help: &'static str,
    /// What it is now.
    pub read: fn(&Hub) -> f64,
}

/// All of them.
pub static METRICS: [Metric; 24] = [
    of("sends_under_way", Gauge, "Sends and reads being worked on", |hub| hub.tasks.len() as f64),
    of("sends_unjournaled", Gauge, "Sends let in and not journaled yet", |hub| hub.publisher.outages.waiting() as f64),
    of("journal_healthy", Gauge, "1 while the journal takes records", |hub| f64::from(hub.journal.healthy())),
    of("journal_delivered", Counter, "Records that the journal took", |hub| hub.journal.counters().delivered() as f64),
    of("journal_refused", Counter, "Records that the journal certainly did not take", |hub| {
        hub.journal.counters().refused() as f64
    }),
    of("journal_unknown", Counter, "Records that the journal may have taken or not", |hub| {
        hub.journal.counters().unknown() as f64
    }),
    of("journal_in_flight", Gauge, "Records on their way into the journal", |hub| {
        hub.journal.counters().in_flight() as f64
    }),
    of("journal_recreated", Counter, "Times that the producer was made anew", |hub| {
        hub.journal.counters().recreated() as f64
    }),
    of("relay_stale_seconds", Gauge, "How long the relay has brought nothing, not even its heartbeat", |hub| {
        hub.timeline.counters().relay_stale().as_secs_f64()
    }),
    of("timeline_window_bytes", Gauge, "Bytes of the hot windows in memory, roughly (embedded)", |hub| {
        count(&hub.timeline.counters().window_bytes)
    }),
    of("timeline_redis_used_memory_bytes", Gauge, "Memory that the fullest server of Redis uses", |hub| {
        count(&hub.timeline.counters().redis_used_memory)
    }),
    of("timeline_redis_max_memory_bytes", Gauge, "The most that it may use (maxmemory); 0: no bound", |hub| {
        count(&hub.timeline.counters().redis_max_memory)
    }),
    of("timeline_refuses_writes", Gauge, "1 while Redis answers and refuses to write", |hub| {
        f64::from(hub.timeline.counters().refuses_writes.load(Ordering::Relaxed))
    }),
    of("timeline_swept", Counter, "Pending events written down for another hub, or late", |hub| {
        count(&hub.timeline.counters().swept)
    }),
    of(
        "timeline_relay_overflows",
        Counter,
        "Times that the relay's queue was full, and every room was compared",
        |hub| count(&hub.timeline.counters().relay_overflows),
    ),
    of("timeline_resubscriptions", Counter, "Times that every room was subscribed again", |hub| {
        count(&hub.timeline.counters().resubscriptions)
    }),
    of("timeline_generations_opened", Counter, "Generations that this hub opened", |hub| {
        count(&hub.timeline.counters().generations_opened)
    }),
    of("timeline_stale_appends", Counter, "Appends that met another generation", |hub| {
        count(&hub.timeline.counters().stale_appends)
    }),
    of("timeline_known_keys", Counter, "Appends whose key was known", |hub| count(&hub.timeline.counters().known_keys)),
    of("timeline_forgotten_refusals", Counter, "Refusals forgotten before their time", |hub| {
        count(&hub.timeline.counters().forgotten_refusals)
    }),
    of("timeline_unreadable_relays", Counter, "Relayed events that could not be read", |hub| {
        count(&hub.timeline.counters().unreadable_relays)
    }),
    of("timeline_lost_signals", Counter, "Signals left out because the relay's queue was full", |hub| {
        count(&hub.timeline.counters().lost_signals)
    }),
    of("timeline_unreadable_signals", Counter, "Relayed signals that could not be read", |hub| {
        count(&hub.timeline.counters().unreadable_signals)
    }),
    of("timeline_unknown_signals", Counter, "Relayed signals of kinds that only other versions know", |hub| {
        count(&hub.timeline.counters().unknown_signals)
    }),
];

const fn of(name: &'static str, kind: Kind, help: &'static str, read: fn(&Hub) -> f64) -> Metric {
    Metric { name, kind, help, read }
}

fn count(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}
