//! What plugins do, counted: found by a plugin's name once, and counted without a string being made.

use super::seconds;
use crate::plugin::{BreakerState, Observer};
use confab_protocol::VerdictName;
use parking_lot::RwLock;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The metrics of all plugins.
pub struct Plugins {
    verdicts: Family<PluginVerdict, Counter>,
    seconds: Family<Plugin, Histogram>,
    wait: Family<Plugin, Histogram>,
    faults: Family<PluginFault, Counter>,
    skipped: Family<Plugin, Counter>,
    senders_paused: Family<Plugin, Counter>,
    host_calls: Family<HostCall, Counter>,
    host_seconds: Family<HostInterface, Histogram>,
    log_cut_bytes: Family<Plugin, Counter>,
    memory: Family<Plugin, Gauge>,
    breaker: Family<Plugin, Gauge>,
    breaker_changes: Family<PluginChange, Counter>,
    effects: Family<PluginEffect, Counter>,
    known: RwLock<HashMap<String, Arc<One>>>,
}

/// The metrics of one plugin.
struct One {
    /// By verdict, and by whether it only watched.
    verdicts: [[Counter; 2]; VERDICTS.len()],
    seconds: Histogram,
    wait: Histogram,
    skipped: Counter,
    memory: Gauge,
    breaker: Gauge,
}

const VERDICTS: [VerdictName; 5] =
    [VerdictName::Accept, VerdictName::Replace, VerdictName::Reject, VerdictName::Hold, VerdictName::Fault];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Plugin {
    plugin: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PluginVerdict {
    plugin: String,
    verdict: &'static str,
    shadow: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PluginFault {
    plugin: String,
    fault: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PluginChange {
    plugin: String,
    to: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PluginEffect {
    plugin: String,
    effect: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HostCall {
    plugin: String,
    interface: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HostInterface {
    plugin: String,
    interface: &'static str,
}

impl Default for Plugins {
    fn default() -> Self {
        Self {
            verdicts: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            wait: Family::new_with_constructor(seconds),
            faults: Family::default(),
            skipped: Family::default(),
            senders_paused: Family::default(),
            host_calls: Family::default(),
            host_seconds: Family::new_with_constructor(seconds),
            log_cut_bytes: Family::default(),
            memory: Family::default(),
            breaker: Family::default(),
            breaker_changes: Family::default(),
            effects: Family::default(),
            known: RwLock::default(),
        }
    }
}

impl Plugins {
    /// Declares them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("plugin_verdicts", "What plugins said", self.verdicts.clone());
        registry.register("plugin_seconds", "Time of a plugin's call", self.seconds.clone());
        registry.register("plugin_wait_seconds", "Wait for one of a plugin's places", self.wait.clone());
        registry.register("plugin_faults", "How plugins failed", self.faults.clone());
        registry.register(
            "plugin_skipped",
            "Events not put to a plugin that was taken out, or of a sender who kept making it fail",
            self.skipped.clone(),
        );
        registry.register(
            "plugin_senders_paused",
            "Times that a plugin was not asked about a sender any more, for a while",
            self.senders_paused.clone(),
        );
        registry.register("plugin_host_calls", "What plugins asked of the host", self.host_calls.clone());
        registry.register("plugin_host_seconds", "Time that the host worked for a plugin", self.host_seconds.clone());
        registry.register(
            "plugin_log_cut_bytes",
            "Log bytes of plugins past what a call may write",
            self.log_cut_bytes.clone(),
        );
        registry.register("plugin_memory_bytes", "The most memory of one of its instances", self.memory.clone());
        registry.register("plugin_breaker", "0 asked, 1 on probation, 2 taken out", self.breaker.clone());
        registry.register("plugin_breaker_changes", "Changes of breakers", self.breaker_changes.clone());
        registry.register("plugin_effects", "What followed from plugins' effects", self.effects.clone());
    }

    /// Counts something that a plugin asked for besides, by what came of it.
    pub fn effect(&self, plugin: &str, effect: &'static str, result: &'static str) {
        self.effects.get_or_create(&PluginEffect { plugin: plugin.to_owned(), effect, result }).inc();
    }

    fn one(&self, plugin: &str) -> Arc<One> {
        if let Some(one) = self.known.read().get(plugin) {
            return Arc::clone(one);
        }
        let name = Plugin { plugin: plugin.to_owned() };
        let verdict = |verdict: VerdictName, shadow: &'static str| {
            let labels = PluginVerdict { plugin: plugin.to_owned(), verdict: verdict.as_str(), shadow };
            self.verdicts.get_or_create_owned(&labels)
        };
        let one = One {
            verdicts: VERDICTS.map(|name| ["false", "true"].map(|shadow| verdict(name, shadow))),
            seconds: self.seconds.get_or_create_owned(&name),
            wait: self.wait.get_or_create_owned(&name),
            skipped: self.skipped.get_or_create_owned(&name),
            memory: self.memory.get_or_create_owned(&name),
            breaker: self.breaker.get_or_create_owned(&name),
        };
        Arc::clone(self.known.write().entry(plugin.to_owned()).or_insert_with(|| Arc::new(one)))
    }
}

impl Observer for Plugins {
    fn judged(&self, plugin: &str, verdict: VerdictName, micros: u64, shadow: bool) {
        let one = self.one(plugin);
        one.seconds.observe(micros as f64 / 1e6);
        let place = VERDICTS.iter().position(|known| *known == verdict).unwrap_or_default();
        one.verdicts[place][usize::from(shadow)].inc();
    }

    fn fault(&self, plugin: &str, fault: &'static str) {
        self.faults.get_or_create(&PluginFault { plugin: plugin.to_owned(), fault }).inc();
    }

    fn host_calls(&self, plugin: &str, interface: &'static str, result: &'static str, calls: u64) {
        self.host_calls.get_or_create(&HostCall { plugin: plugin.to_owned(), interface, result }).inc_by(calls);
    }

    fn host_seconds(&self, plugin: &str, interface: &'static str, took: Duration) {
        let plugin = plugin.to_owned();
        self.host_seconds.get_or_create(&HostInterface { plugin, interface }).observe(took.as_secs_f64());
    }

    fn log_cut(&self, plugin: &str, bytes: u64) {
        self.log_cut_bytes.get_or_create(&Plugin { plugin: plugin.to_owned() }).inc_by(bytes);
    }

    fn waited(&self, plugin: &str, micros: u64) {
        self.one(plugin).wait.observe(micros as f64 / 1e6);
    }

    fn skipped(&self, plugin: &str) {
        self.one(plugin).skipped.inc();
    }

    fn sender_paused(&self, plugin: &str) {
        self.senders_paused.get_or_create(&Plugin { plugin: plugin.to_owned() }).inc();
    }

    fn memory(&self, plugin: &str, bytes: usize) {
        let one = self.one(plugin);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        one.memory.inner().fetch_max(bytes, std::sync::atomic::Ordering::Relaxed);
    }

    fn breaker(&self, plugin: &str, state: BreakerState) {
        let (value, to) = match state {
            BreakerState::Closed => (0, "closed"),
            BreakerState::HalfOpen => (1, "half_open"),
            BreakerState::Open => (2, "open"),
        };
        self.one(plugin).breaker.set(value);
        self.breaker_changes.get_or_create(&PluginChange { plugin: plugin.to_owned(), to }).inc();
    }
}
