//! What the hub counts and times, declared in one place and served at `/metrics`.

use crate::dialect::command::Recovery;
use confab_protocol::{Close, Refusal};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

mod plugins;

pub use plugins::Plugins;

/// The steps of a send that are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// May it be?
    Admit,
    /// What do the plugins say?
    Judge,
    /// Its place.
    Append,
    /// Written down.
    Journal,
}

/// The hub's metrics. One instance per hub, so that hubs in one process do not share counts.
pub struct Telemetry {
    registry: Registry,
    /// Open sessions.
    pub sessions: Gauge,
    /// Sessions ever opened.
    pub sessions_opened: Counter,
    /// Rooms with a local listener.
    pub rooms: Gauge,
    /// Events given to local listeners, counted per listener.
    pub delivered: Counter,
    /// Rooms repaired from the timeline.
    pub gaps_repaired: Counter,
    /// Rooms whose listeners were told to come back.
    pub rooms_started_over: Counter,
    /// Sessions told to join a room again because what they missed could not be given to them.
    pub joins_repeated: Counter,
    /// Reads of the store for history and recovery.
    pub store_reads: Counter,
    /// Reads of the hot window for joins, history and recovery.
    pub window_reads: Counter,
    /// Pages that a recovering client was given from what was read for another one.
    pub shared_pages: Counter,
    /// Frames of the moment that were let go because a client did not read fast enough.
    pub ephemeral_dropped: Counter,
    /// Bytes received in frames.
    pub bytes_in: Counter,
    /// Bytes sent in frames.
    pub bytes_out: Counter,
    closes: Family<[(&'static str, &'static str); 1], Counter>,
    refused_clients: Family<[(&'static str, &'static str); 1], Counter>,
    sends: Family<[(&'static str, &'static str); 1], Counter>,
    recoveries: Family<[(&'static str, &'static str); 1], Counter>,
    /// Events given to recovering clients.
    pub recovered_events: Counter,
    stages: [Histogram; 4],
    /// What plugins do.
    pub plugins: Arc<Plugins>,
    reloads: Family<[(&'static str, &'static str); 1], Counter>,
    reviews: Family<[(&'static str, &'static str); 1], Counter>,
    refused_tokens: Family<[(&'static str, &'static str); 1], Counter>,
    audited: Family<[(&'static str, &'static str); 1], Counter>,
    /// Acts that are missing from the audit log.
    pub audit_lost: Counter,
    removed_rows: Family<[(&'static str, &'static str); 1], Counter>,
    /// When the oldest event was said that is kept in a room of which any may be removed, in seconds since 1970.
    pub oldest_kept: Gauge,
    admin_refused: Family<[(&'static str, &'static str); 1], Counter>,
    ephemeral_events: Family<[(&'static str, &'static str); 2], Counter>,
    chain: Family<[(&'static str, String); 1], Gauge>,
    limited: Family<[(&'static str, &'static str); 1], Counter>,
    sampled: std::sync::Mutex<std::collections::BTreeMap<&'static str, Sampled>>,
}

/// What a sampled metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It rises and falls.
    Gauge,
    /// It only rises, from the start of the process.
    Counter,
}

enum Sampled {
    Gauge(Gauge<f64, AtomicU64>),
    Counter(Counter),
}

/// 1 µs to 20 s.
fn seconds() -> Histogram {
    Histogram::new([
        1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25,
        0.5, 1.0, 2.5, 5.0, 20.0,
    ])
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// Registers everything.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("confab");
        let telemetry = Self {
            sessions: Gauge::default(),
            sessions_opened: Counter::default(),
            rooms: Gauge::default(),
            delivered: Counter::default(),
            gaps_repaired: Counter::default(),
            rooms_started_over: Counter::default(),
            joins_repeated: Counter::default(),
            store_reads: Counter::default(),
            window_reads: Counter::default(),
            ephemeral_dropped: Counter::default(),
            shared_pages: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            closes: Family::default(),
            refused_clients: Family::default(),
            sends: Family::default(),
            recoveries: Family::default(),
            recovered_events: Counter::default(),
            stages: [seconds(), seconds(), seconds(), seconds()],
            plugins: Arc::default(),
            reloads: Family::default(),
            reviews: Family::default(),
            refused_tokens: Family::default(),
            audited: Family::default(),
            audit_lost: Counter::default(),
            removed_rows: Family::default(),
            oldest_kept: Gauge::default(),
            admin_refused: Family::default(),
            ephemeral_events: Family::default(),
            chain: Family::default(),
            limited: Family::default(),
            sampled: std::sync::Mutex::default(),
            registry: Registry::default(),
        };
        let t = &telemetry;
        registry.register("sessions", "Open sessions", t.sessions.clone());
        registry.register("sessions_opened", "Sessions ever opened", t.sessions_opened.clone());
        registry.register("rooms", "Rooms with a local listener", t.rooms.clone());
        registry.register("delivered_events", "Events given to local listeners, per listener", t.delivered.clone());
        registry.register("gaps_repaired", "Rooms repaired from the timeline", t.gaps_repaired.clone());
        registry.register(
            "rooms_started_over",
            "Rooms whose listeners were told to come back",
            t.rooms_started_over.clone(),
        );
        registry.register(
            "joins_repeated",
            "Sessions told to join again: what they missed could not be given",
            t.joins_repeated.clone(),
        );
        registry.register("store_reads", "Reads of the store for history and recovery", t.store_reads.clone());
        registry.register("window_reads", "Reads of the hot window for joins and recovery", t.window_reads.clone());
        registry.register("shared_pages", "Pages that were read for another client", t.shared_pages.clone());
        registry.register(
            "ephemeral_dropped",
            "Comings and goings not told to slow clients",
            t.ephemeral_dropped.clone(),
        );
        registry.register("received_bytes", "Bytes received in frames", t.bytes_in.clone());
        registry.register("sent_bytes", "Bytes sent in frames", t.bytes_out.clone());
        registry.register("closes", "Sessions ended by the hub, by reason", t.closes.clone());
        registry.register("refused_clients", "Clients refused at the door, by reason", t.refused_clients.clone());
        registry.register("sends", "Sends, by what became of them", t.sends.clone());
        registry.register("recoveries", "Joins, by what became of the wish to recover", t.recoveries.clone());
        registry.register("recovered_events", "Events given to recovering clients", t.recovered_events.clone());
        let names = ["admit_seconds", "judge_seconds", "append_seconds", "journal_seconds"];
        for (name, histogram) in names.into_iter().zip(&t.stages) {
            registry.register(name, "Time of this stage of a send", histogram.clone());
        }
        t.plugins.register(&mut registry);
        registry.register("reloads", "Reloads, by what became of them", t.reloads.clone());
        registry.register("refused_tokens", "Tokens refused, by reason", t.refused_tokens.clone());
        registry.register("reviews", "Held events decided, by decision", t.reviews.clone());
        registry.register("audited", "Acts of operators and moderators, by result", t.audited.clone());
        registry.register("store_removed_rows", "Rows past their retention that were removed", t.removed_rows.clone());
        registry.register(
            "store_oldest_timestamp_seconds",
            "When the oldest event was said that is kept where retention removes any",
            t.oldest_kept.clone(),
        );
        registry.register("audit_lost", "Acts that are missing from the audit log", t.audit_lost.clone());
        registry.register("admin_refused", "Requests refused at the admin port, by reason", t.admin_refused.clone());
        registry.register("ephemeral_events", "Judged joins and leavings, and typing", t.ephemeral_events.clone());
        registry.register("limited", "Refusals by a limit of a user's, by which", t.limited.clone());
        registry.register("chain", "The version of the chain that judges: always 1", t.chain.clone());
        Self { registry, ..telemetry }
    }

    /// Adds metrics whose values are set, by name, before each scrape ([`Self::set`]).
    pub fn sampled(&mut self, names: &[(&'static str, Kind, &'static str)]) {
        let mut sampled = self.sampled.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (name, kind, help) in names {
            let metric = match kind {
                Kind::Gauge => {
                    let gauge = Gauge::<f64, AtomicU64>::default();
                    self.registry.register(*name, *help, gauge.clone());
                    Sampled::Gauge(gauge)
                }
                Kind::Counter => {
                    let counter = Counter::default();
                    self.registry.register(*name, *help, counter.clone());
                    Sampled::Counter(counter)
                }
            };
            sampled.insert(name, metric);
        }
    }

    /// Sets a sampled metric.
    pub fn set(&self, name: &'static str, value: f64) {
        let sampled = self.sampled.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match sampled.get(name) {
            Some(Sampled::Gauge(gauge)) => _ = gauge.set(value),
            Some(Sampled::Counter(counter)) => counter.inner().store(value as u64, Ordering::Relaxed),
            None => {}
        }
    }

    /// Times a stage.
    pub fn stage(&self, stage: Stage, took: Duration) {
        self.stages[stage as usize].observe(took.as_secs_f64());
    }

    /// Counts a send by what became of it.
    pub fn sent(&self, refused: Option<&Refusal>) {
        self.sends.get_or_create(&[("outcome", refused.map_or("receipt", Refusal::name))]).inc();
    }

    /// Counts a session that the hub ended.
    pub fn closed(&self, close: Close) {
        self.closes.get_or_create(&[("reason", close.reason())]).inc();
    }

    /// Counts a client that was refused at the door.
    pub fn refused_client(&self, reason: &'static str) {
        self.refused_clients.get_or_create(&[("reason", reason)]).inc();
    }

    /// Counts a reload by its result.
    pub fn reloaded(&self, result: &'static str) {
        self.reloads.get_or_create(&[("result", result)]).inc();
    }

    /// Counts a token that was refused.
    pub fn token_refused(&self, reason: &'static str) {
        self.refused_tokens.get_or_create(&[("reason", reason)]).inc();
    }

    /// Counts a decision on a held event.
    pub fn reviewed(&self, decision: &'static str) {
        self.reviews.get_or_create(&[("decision", decision)]).inc();
    }

    /// Counts an act of an operator or a moderator by its result.
    pub fn audited(&self, result: &'static str) {
        self.audited.get_or_create(&[("result", result)]).inc();
    }

    /// Counts rows of the store that were removed.
    pub fn removed(&self, table: &'static str, rows: u64) {
        self.removed_rows.get_or_create(&[("table", table)]).inc_by(rows);
    }

    /// Counts a request that the admin port refused.
    pub fn admin_refused(&self, reason: &'static str) {
        self.admin_refused.get_or_create(&[("reason", reason)]).inc();
    }

    /// Counts a join, a leaving, or that somebody is typing, by what became of it.
    pub fn ephemeral(&self, kind: &'static str, outcome: &'static str) {
        self.ephemeral_events.get_or_create(&[("kind", kind), ("outcome", outcome)]).inc();
    }

    /// Counts what a limit of a user's stood against.
    pub fn limited(&self, limit: &'static str) {
        self.limited.get_or_create(&[("limit", limit)]).inc();
    }

    /// Says which chain judges from now on.
    pub fn chain_is(&self, version: &str) {
        self.chain.clear();
        self.chain.get_or_create(&[("version", version.to_owned())]).set(1);
    }

    /// Counts a join.
    pub fn recovered(&self, recovery: Recovery, events: usize) {
        let outcome = match recovery {
            Recovery::NotAsked => "not_asked",
            Recovery::Complete => "complete",
            Recovery::Incomplete { .. } => "incomplete",
        };
        self.recoveries.get_or_create(&[("outcome", outcome)]).inc();
        self.recovered_events.inc_by(events as u64);
    }

    /// The text that Prometheus reads (OpenMetrics).
    pub fn exposition(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("writing to a string does not fail");
        out
    }
}
