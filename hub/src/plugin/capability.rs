//! Capabilities: what a plugin may do besides judging. Each is an interface of its own, linked only where it is granted.
//!
//! Whatever a plugin asks of the host is bounded, counted under the plugin's name, and told once at the end of its call where
//! it came to nothing. While a plugin is configured it can ask for nothing.

mod clock;
mod emit;
mod http;
mod kv;
mod log;
mod random;

use super::budget::Budget;
use super::contract::{host_clock, host_emit, host_http, host_kv, host_log, host_random};
use super::{Check, Effect, EventContext, FakeHost, Observer, Verdict};
use crate::kv::{Kv, Owner, Space};
use confab_config::{Capabilities, Patterns};
use confab_protocol::{Event, EventId, Room};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::warn;
use wasmtime::component::{HasSelf, Linker};

/// A capability, by its key in `capabilities`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Write to the log.
    Log,
    /// Know the time.
    Clock,
    /// Throw dice.
    Random,
    /// Remember.
    Kv,
    /// Ask other servers.
    Http,
    /// Speak.
    Emit,
}

impl Capability {
    /// All of them.
    const ALL: [Self; 6] = [Self::Log, Self::Clock, Self::Random, Self::Kv, Self::Http, Self::Emit];

    /// The one that an interface of the contract belongs to.
    pub fn of(interface: &str) -> Option<Self> {
        let key = interface.strip_prefix("host-")?;
        Self::ALL.into_iter().find(|capability| capability.key() == key)
    }

    /// Its key in `capabilities`, and its name in metrics.
    pub fn key(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Kv => "kv",
            Self::Http => "http",
            Self::Emit => "emit",
        }
    }

    /// Whether it is granted.
    pub fn is_in(self, granted: &Capabilities) -> bool {
        match self {
            Self::Log => granted.log,
            Self::Clock => granted.clock,
            Self::Random => granted.random,
            Self::Kv => granted.kv.is_some(),
            Self::Http => granted.http.is_some(),
            Self::Emit => granted.emit.is_some(),
        }
    }

    /// What hub.toml says to grant it.
    fn wish(self) -> toml::Value {
        match self {
            Self::Http => vec!["https://host.example"].into(),
            _ => true.into(),
        }
    }
}

/// The line of hub.toml that grants what is granted now and what is missing.
pub fn line(granted: &Capabilities, missing: &[Capability]) -> String {
    let mut table = toml::Table::try_from(granted).unwrap_or_default();
    table.retain(|_, value| !matches!(value, toml::Value::Boolean(false)) && value.as_array() != Some(&Vec::new()));
    table.extend(missing.iter().map(|capability| (capability.key().to_owned(), capability.wish())));
    format!("capabilities = {}", toml::Value::Table(table))
}

/// Gives a plugin what it is granted, and nothing else; `host` finds the host in what is kept for an instance.
pub fn link<T: Send + 'static>(
    linker: &mut Linker<T>,
    granted: &Capabilities,
    host: fn(&mut T) -> &mut Host,
) -> wasmtime::Result<()> {
    if granted.log {
        host_log::add_to_linker::<_, HasSelf<Host>>(linker, host)?;
    }
    if granted.clock {
        host_clock::add_to_linker::<_, HasSelf<Host>>(linker, host)?;
    }
    if granted.random {
        host_random::add_to_linker::<_, HasSelf<Host>>(linker, host)?;
    }
    if granted.kv.is_some() {
        host_kv::add_to_linker::<_, HasSelf<Host>>(linker, host)?;
    }
    if granted.http.is_some() {
        host_http::add_to_linker::<_, HasSelf<Host>>(linker, host)?;
    }
    if granted.emit.is_some() {
        host_emit::add_to_linker::<_, HasSelf<Host>>(linker, host)?;
    }
    Ok(())
}

/// What all instances of a plugin share.
#[derive(Default)]
pub struct Grants {
    kv: Option<kv::Grant>,
    http: Option<Arc<http::Client>>,
    emit: Option<emit::Grant>,
    fake: Option<Arc<FakeHost>>,
}

/// What plugins' own messages must pass.
pub struct EmitRules<'a> {
    /// The check of their bodies.
    pub check: &'a Arc<Check>,
    /// So many may follow from one another.
    pub hops_max: u32,
}

impl Grants {
    /// Whether a call may leave something behind, or be seen outside: then a retry is not judged once more.
    pub fn leave_traces(&self) -> bool {
        self.kv.is_some() || self.http.is_some() || self.emit.is_some()
    }

    /// What hub.toml grants this plugin. `kv` is where plugins remember; a `fake` host stands for what else is outside.
    pub fn new(
        plugin: &str,
        granted: &Capabilities,
        kv: &Kv,
        emit_rules: &EmitRules<'_>,
        fake: Option<&Arc<FakeHost>>,
    ) -> Self {
        let kept = |grant: &confab_config::KvGrant| kv::Grant {
            kv: kv.clone(),
            space: Space {
                name: plugin.into(),
                keys: usize::try_from(grant.keys).unwrap_or(usize::MAX),
                bytes: grant.bytes.bytes(),
                owner: Owner::default(),
            },
            calls: grant.calls,
        };
        let client = |grant: &confab_config::HttpGrant| Arc::new(http::Client::new(plugin, grant.clone()));
        let spoken = |grant: &confab_config::EmitGrant| emit::Grant {
            // Patterns that cannot be read were found by the check of hub.toml; they grant nothing.
            rooms: Patterns::new(&grant.rooms).ok().filter(Patterns::includes_any).map(Arc::new),
            hops_max: emit_rules.hops_max,
            check: Arc::clone(emit_rules.check),
        };
        Self {
            kv: granted.kv.as_ref().map(kept),
            http: granted.http.as_ref().map(client),
            emit: granted.emit.as_ref().map(spoken),
            fake: fake.cloned(),
        }
    }

    /// Whether the plugin is only tried.
    pub fn is_trial(&self) -> bool {
        self.fake.is_some()
    }

    /// The most bytes that one call of the host may be handed.
    pub fn arguments_max(granted: &Capabilities) -> usize {
        let log = if granted.log { log::BYTES_MAX } else { 0 };
        let kv = granted.kv.as_ref().map_or(0, |_| crate::kv::KEY_MAX + crate::kv::VALUE_MAX);
        let http = granted.http.as_ref().map_or(0, |grant| grant.bytes.bytes() + http::HEAD_MAX);
        log.max(kv).max(http)
    }

    /// How many of the plugin's calls may wait for others at once, beside those that work.
    pub fn waiting_max(granted: &Capabilities) -> usize {
        let kv = granted.kv.as_ref().map_or(0, |_| kv::WAITING);
        kv + granted.http.as_ref().map_or(0, |grant| usize::try_from(grant.concurrency).unwrap_or(usize::MAX))
    }
}

/// What a plugin did that the contract forbids: a fault, and not an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// It asked while it was configured.
    #[error("it used `{0}` while it was configured, when it can ask for nothing")]
    Configuring(&'static str),
    /// It wrote to the log while it was configured: what it wrote is often why it failed.
    #[error("it wrote to the log while it was configured, when it can ask for nothing: {0:?}")]
    Wrote(String),
    /// It asked for too much.
    #[error("it asked for {0} random bytes at once, at most {most} are given", most = random::BYTES_MAX)]
    Random(u32),
}

/// The host, as one instance sees it.
pub struct Host {
    plugin: Arc<str>,
    observer: Arc<dyn Observer>,
    /// What the instance is being asked about: the room and the event. `None` while it is configured.
    about: Option<(Room, EventId)>,
    /// How long the call may take.
    pub budget: Budget,
    /// What the call asked for, and what came of it.
    tally: Vec<Count>,
    log: log::Left,
    kv: Option<kv::Access>,
    http: Option<http::Access>,
    emit: Option<emit::Access>,
    /// What stands for the world outside, in a trial.
    fake: Option<Arc<FakeHost>>,
}

struct Count {
    capability: Capability,
    result: &'static str,
    calls: u64,
    /// More about the first of them, for the operator.
    detail: Option<String>,
}

impl Host {
    /// The host for an instance that is about to be configured.
    pub fn new(plugin: Arc<str>, observer: Arc<dyn Observer>, grants: &Grants, budget: Budget) -> Self {
        Self {
            plugin,
            observer,
            about: None,
            budget,
            tally: Vec::new(),
            log: log::Left::default(),
            kv: grants.kv.as_ref().map(kv::Access::new),
            http: grants.http.as_ref().map(http::Access::new),
            emit: grants.emit.as_ref().map(emit::Access::new),
            fake: grants.fake.clone(),
        }
    }

    /// Begins a call about this event.
    pub fn begin(&mut self, event: &Event, context: &EventContext, budget: Budget) {
        self.about = Some((event.room.clone(), event.id));
        self.budget = budget;
        self.log = log::Left::default();
        self.kv.iter_mut().for_each(|kv| kv.begin(context.answers_for(event).as_str()));
        self.http.iter_mut().for_each(http::Access::begin);
        self.emit.iter_mut().for_each(|emit| emit.begin(event, context));
    }

    /// What the plugin said in a name of its own is a part of its verdict.
    pub fn take_said(&mut self, verdict: &mut Verdict) {
        if let Some(emit) = &mut self.emit {
            verdict.effects.extend(emit.take().into_iter().map(Effect::Say));
        }
    }

    /// Ends a call: what it asked for is counted, and what came to nothing is told.
    pub fn end(&mut self) {
        let plugin = &*self.plugin;
        for Count { capability, result, calls, detail } in &self.tally {
            let interface = capability.key();
            self.observer.host_calls(plugin, interface, result, *calls);
            if *result != "ok" {
                let ((room, event), detail) = (self.about(), detail.as_deref().unwrap_or_default());
                warn!(plugin, room, event, interface, result, calls, detail, "plugin host call failed");
                self.observer.in_vain(plugin, interface, result, detail);
            }
        }
        self.tally.clear();
        let bytes = self.log.take_dropped();
        if bytes > 0 {
            warn!(plugin, bytes, "plugin wrote too much to the log, the rest was dropped");
            self.observer.log_cut(plugin, bytes);
        }
    }

    fn about(&self) -> (&str, String) {
        self.about.as_ref().map_or(("", String::new()), |(room, event)| (room.as_str(), event.to_string()))
    }

    /// Whether the plugin may ask for anything now.
    fn may(&mut self, capability: Capability) -> Result<(), Misuse> {
        match self.about {
            Some(_) => Ok(()),
            None => Err(self.misuse(capability, Misuse::Configuring(capability.key()))),
        }
    }

    /// Counts a misuse.
    fn misuse(&mut self, capability: Capability, misuse: Misuse) -> Misuse {
        self.count(capability, "misuse", None);
        misuse
    }

    /// Counts something asked for, and what came of it.
    fn count(&mut self, capability: Capability, result: &'static str, detail: Option<String>) {
        match self.tally.iter_mut().find(|count| count.capability == capability && count.result == result) {
            Some(count) => count.calls += 1,
            None => self.tally.push(Count { capability, result, calls: 1, detail }),
        }
    }

    /// Notes how long the host worked for the plugin.
    fn took(&self, capability: Capability, since: Instant) {
        let now = Instant::now();
        self.budget.host_returned(now);
        self.observer.host_seconds(&self.plugin, capability.key(), now - since);
    }

    /// Until when the plugin can wait for others and still answer: nine tenths of what is left of its call.
    fn patience(&self) -> Instant {
        let left = self.budget.deadline().saturating_duration_since(Instant::now());
        Instant::now() + left.saturating_sub(left / 10).max(Duration::from_micros(1))
    }
}

impl Drop for Host {
    /// A call that was dropped, with its instance, is counted as well.
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_for_hub_toml_keeps_what_is_granted_and_adds_what_is_missing() {
        let granted: Capabilities = toml::from_str("log = true\nhttp = ['https://a.example']").unwrap();
        let added = line(&granted, &[Capability::Kv, Capability::Clock]);
        assert_eq!(added, "capabilities = { clock = true, http = [\"https://a.example\"], kv = true, log = true }");
        let all = line(&Capabilities::default(), &[Capability::Http]);
        assert_eq!(all, "capabilities = { http = [\"https://host.example\"] }");
    }

    #[test]
    fn every_interface_of_the_host_is_found_by_its_name() {
        for capability in Capability::ALL {
            assert_eq!(Capability::of(&format!("host-{}", capability.key())), Some(capability));
        }
        assert_eq!(Capability::of("kv"), None);
        assert_eq!(Capability::of("host-gold"), None);
    }
}
