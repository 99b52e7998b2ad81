//! Plugins: what they are, what they say, and the chain that asks them.
//!
//! A plugin is a guest: it may loop, hoard, crash and lie. It gets a time, a memory limit and a bound on what it says;
//! what it says is checked like what a client says; and an instance that failed in any way is never asked again. Only this
//! part of the hub knows wasmtime, and only [`guest`] makes a `wasmtime::Store`.

mod bench_instances;
mod breaker;
mod budget;
mod cache;
mod call;
mod capability;
mod chain;
mod context;
mod contract;
mod dry_run;
mod engine;
mod fake_host;
mod fault;
mod guest;
mod linked;
mod load;
mod module;
mod pool;
mod problem;
mod settings;
mod snapshot;
mod status;
mod tally;
mod ticker;

pub use bench_instances::BenchInstances;
pub use breaker::BreakerState;
pub use chain::{Applies, Chain, judged_kind};
pub use context::{EventContext, Origin};
#[doc(hidden)]
pub use contract::heard::hear as hear_verdict;
pub use dry_run::{Outcome, ShownEffect, TestResult, dry_run, run_tests};
pub use fake_host::FakeHost;
pub use fault::Fault;
pub use load::{Changes, Check, Error};
pub use module::Error as ModuleError;
pub use settings::{Refused as SettingsRefused, check as check_settings, check_against as check_settings_against};
pub use status::{ChainStatus, PluginStatus};
pub use tally::Tallied;

use confab_protocol::{Annotations, Body, Event, EventId, Refusal, Room, Trail, UserId, VerdictName};
use std::time::Duration;

/// What the chain said of an event.
#[derive(Clone, Debug)]
pub enum Judged {
    /// It may be published, as it is now (rewritten and annotated).
    Approved(Approved),
    /// A plugin, or the policy for one that failed, refused it.
    Refused(Refusal, Trail, Vec<RequestedEffect>),
    /// A plugin, or the policy for one that failed, set it aside.
    Held {
        /// The event as it stood when it was held.
        event: Event,
        /// Which plugin held it.
        plugin: String,
        /// Why, for moderators.
        reason: String,
        /// Why, for the sender: nothing where the plugin failed.
        told: String,
        /// The trail so far.
        trail: Trail,
        /// What plugins asked for besides.
        requested: Vec<RequestedEffect>,
    },
}

/// An event that every plugin of its chain has let through.
#[derive(Clone, Debug)]
pub struct Approved {
    /// The event, with the body and annotations that the chain left it.
    pub event: Event,
    /// Who said what.
    pub trail: Trail,
    /// What plugins asked for besides: of all that were asked in earnest, in order.
    pub requested: Vec<RequestedEffect>,
}

/// One plugin's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What should become of the event.
    pub decision: Decision,
    /// What should happen besides.
    pub effects: Vec<Effect>,
}

/// Something that a plugin asked for besides its decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedEffect {
    /// Which plugin.
    pub plugin: String,
    /// What.
    pub effect: Effect,
}

/// What should happen besides, with the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The sender, and nobody else, is told this.
    Notice(String),
    /// The sender may not speak in this room for a while.
    Mute {
        /// For how long: 1 second to a year.
        seconds: u32,
        /// What the sender is told when they try.
        reason: String,
    },
    /// Moderators should look at the event; why.
    Flag(String),
    /// The plugin itself says something, once the event stands.
    Say(Emitted),
}

/// A message of a plugin's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emitted {
    /// Where.
    pub room: Room,
    /// What.
    pub body: Body,
    /// The message whose thread it belongs to.
    pub thread: Option<EventId>,
    /// How many plugins' messages led to it, this one included.
    pub hops: u32,
    /// Whose event all of it follows from.
    pub cause: Option<UserId>,
}

impl Effect {
    /// Its name in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Notice(_) => "notice",
            Self::Mute { .. } => "mute",
            Self::Flag(_) => "flag",
            Self::Say(_) => "say",
        }
    }
}

/// What should become of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It goes on, with these annotations added.
    Accept(Annotations),
    /// It goes on with another body, and these annotations added.
    Replace(Body, Annotations),
    /// It is refused.
    Reject {
        /// 400–1999.
        code: u32,
        /// What the sender is told.
        reason: String,
        /// What else the sender is told, as JSON.
        details: Option<Body>,
    },
    /// It is set aside for a moderator.
    Hold {
        /// Why.
        reason: String,
    },
}

impl Verdict {
    /// Its name in trails and metrics.
    pub fn name(&self) -> VerdictName {
        match self.decision {
            Decision::Accept(_) => VerdictName::Accept,
            Decision::Replace(..) => VerdictName::Replace,
            Decision::Reject { .. } => VerdictName::Reject,
            Decision::Hold { .. } => VerdictName::Hold,
        }
    }
}

/// Who counts what plugins do. All of it is called while events are judged, so it must be quick and must not block.
pub trait Observer: Send + Sync {
    /// A plugin was asked: what its call came to, and how long it took in microseconds, the wait for a free place not
    /// counted.
    fn judged(&self, plugin: &str, verdict: VerdictName, micros: u64, shadow: bool);

    /// A plugin failed; `fault` is a [`Fault::name`].
    fn fault(&self, plugin: &str, fault: &'static str);

    /// A plugin asked the host for something so many times: which capability, and what came of it (`ok`, or a reason).
    fn host_calls(&self, plugin: &str, interface: &'static str, result: &'static str, calls: u64);

    /// The host worked for a plugin for so long, where it may have had to wait for others.
    fn host_seconds(&self, plugin: &str, interface: &'static str, took: Duration);

    /// A plugin wrote more to the log than one call may: so many bytes were dropped.
    fn log_cut(&self, plugin: &str, bytes: u64);

    /// A plugin failed, with all that is known of it.
    fn failed(&self, _plugin: &str, _fault: &Fault) {}

    /// A plugin wrote a line to the log.
    fn wrote(&self, _plugin: &str, _level: &'static str, _text: &str) {}

    /// A plugin asked the host for something that it did not get: of which capability, why (a word of
    /// [`host_calls`](Self::host_calls)), and more about the first time.
    fn in_vain(&self, _plugin: &str, _interface: &'static str, _result: &'static str, _detail: &str) {}

    /// A call waited so many microseconds for one of the plugin's places.
    fn waited(&self, _plugin: &str, _micros: u64) {}

    /// An event was not put to the plugin, as it is taken out.
    fn skipped(&self, _plugin: &str) {}

    /// A sender whose messages kept making the plugin fail is not asked about for a while.
    fn sender_paused(&self, _plugin: &str) {}

    /// One of the plugin's instances has so many bytes of memory.
    fn memory(&self, _plugin: &str, _bytes: usize) {}

    /// The plugin's breaker has changed.
    fn breaker(&self, _plugin: &str, _state: BreakerState) {}
}

/// Nobody counts.
impl Observer for () {
    fn judged(&self, _plugin: &str, _verdict: VerdictName, _micros: u64, _shadow: bool) {}
    fn fault(&self, _plugin: &str, _fault: &'static str) {}
    fn host_calls(&self, _plugin: &str, _interface: &'static str, _result: &'static str, _calls: u64) {}
    fn host_seconds(&self, _plugin: &str, _interface: &'static str, _took: Duration) {}
    fn log_cut(&self, _plugin: &str, _bytes: u64) {}
}
