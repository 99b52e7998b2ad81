//! The breaker: takes a plugin that keeps failing out of the way, and brings it back carefully.
//!
//! Failures are counted for each sender. Whoever makes a plugin fail again and again is not asked about for a while, and nobody
//! else notices. Only a plugin that fails for one sender after the other, and answers nobody well in between, is taken out for
//! all.
//!
//! *Closed*: every event is put to the plugin. *Open*: none is; what its `on_fault` says follows at once. After a pause,
//! *half open*: one event at a time is a probe, for the others it is still out. A few good probes close it again; a bad one
//! opens it for twice the pause.

mod gate;
mod recent;
mod senders;

use confab_config::BreakerConfig;
use gate::{Entry, Gate};
use parking_lot::Mutex;
use senders::Senders;
use serde::Serialize;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// Whether a plugin is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// It is.
    Closed,
    /// It is on probation: one event at a time.
    HalfOpen,
    /// It is out.
    Open,
}

/// Decides whether a plugin is asked.
pub struct Breaker {
    settings: BreakerConfig,
    /// Whether senders have pauses of their own. Where a failure lets an event pass, a pause would let its sender speak unjudged,
    /// so there the plugin is asked each time.
    pauses_senders: bool,
    /// Nobody outside can choose a name that falls together with another.
    names: RandomState,
    inner: Mutex<Inner>,
}

struct Inner {
    all: Gate,
    /// Whom it failed for since it last answered anybody well, and since when.
    failing: HashSet<u64>,
    failing_since: Instant,
    senders: Senders,
}

/// What changed, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was taken out: it failed for so many senders, and answered nobody well.
    Opened { senders: usize, pause: Duration },
    /// The pause is over: it is tried.
    Trying,
    /// A probe failed: it stays out.
    StaysOpen { pause: Duration },
    /// It is back.
    Closed,
    /// It is not asked about this sender for a while.
    SenderPaused { pause: Duration },
}

/// Why a plugin is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// It is taken out for all.
    Open,
    /// This sender's messages kept making it fail.
    Sender,
}

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered.
    Answered,
    /// It failed over this message.
    Failed,
    /// It failed, and not over this message: no instance could be started.
    Unavailable,
    /// It says nothing about the plugin: it was not asked after all.
    Nothing,
}

/// The right to ask the plugin once. Dropped without an outcome (whoever asked went away), it counts as nothing.
pub struct Pass<'b> {
    breaker: &'b Breaker,
    sender: u64,
    probe_of_all: bool,
    probe_of_sender: bool,
    done: bool,
}

impl Breaker {
    /// Closed. `pauses_senders` is false where what happens on a failure is that the event passes.
    pub fn new(settings: BreakerConfig, pauses_senders: bool) -> Self {
        let inner = Inner {
            all: Gate::new(&settings),
            failing: HashSet::new(),
            failing_since: Instant::now(),
            senders: Senders::default(),
        };
        Self { settings, pauses_senders, names: RandomState::new(), inner: Mutex::new(inner) }
    }

    /// The right to ask now about this sender, if it is given; and what that changed.
    pub fn enter(&self, sender: &str, now: Instant) -> (Result<Pass<'_>, Skip>, Option<Change>) {
        let sender = self.names.hash_one(sender);
        let mut inner = self.inner.lock();
        let own = if self.pauses_senders { inner.senders.enter(sender, now) } else { Entry::Passes };
        if own == Entry::Shut {
            return (Err(Skip::Sender), None);
        }
        // Whoever made it fail lately says nothing about whether it is well again.
        let may_probe = !inner.senders.knows(sender);
        let all = inner.all.enter(may_probe, now);
        if all == Entry::Shut {
            inner.senders.forget_probe(sender);
            return (Err(Skip::Open), None);
        }
        let pass = Pass {
            breaker: self,
            sender,
            probe_of_all: matches!(all, Entry::Probes { .. }),
            probe_of_sender: matches!(own, Entry::Probes { .. }),
            done: false,
        };
        (Ok(pass), (all == Entry::Probes { first: true }).then_some(Change::Trying))
    }

    /// Where it stands for all.
    pub fn state(&self) -> BreakerState {
        let inner = self.inner.lock();
        match (inner.all.is_passing(), inner.all.is_probing()) {
            (true, _) => BreakerState::Closed,
            (_, true) => BreakerState::HalfOpen,
            _ => BreakerState::Open,
        }
    }

    /// How many senders it is not asked about.
    pub fn senders_paused(&self) -> usize {
        self.inner.lock().senders.paused()
    }
}

impl Pass<'_> {
    /// Says what came of it, and hears what that changed.
    pub fn end(mut self, outcome: Outcome, now: Instant) -> Option<Change> {
        if outcome == Outcome::Nothing {
            return None; // as if it were dropped
        }
        self.done = true;
        let settings = &self.breaker.settings;
        let failed = outcome != Outcome::Answered;
        let mut inner = self.breaker.inner.lock();
        let paused = match outcome {
            Outcome::Unavailable if self.probe_of_sender => {
                inner.senders.forget_probe(self.sender);
                None
            }
            Outcome::Unavailable => None,
            _ if self.probe_of_sender => inner.senders.end_probe(self.sender, failed, settings, now),
            _ => inner.senders.end(self.sender, failed, self.breaker.pauses_senders, settings, now),
        };
        if self.probe_of_all {
            return inner.all.end_probe(failed, settings, now);
        }
        // What began before it was taken out says nothing new.
        if inner.all.is_passing()
            && let Some(senders) = inner.fails_for(self.sender, failed, settings, now)
        {
            return Some(Change::Opened { senders, pause: inner.all.shut(settings, now) });
        }
        paused.map(|pause| Change::SenderPaused { pause })
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut inner = self.breaker.inner.lock();
        if self.probe_of_all {
            inner.all.forget_probe();
        }
        if self.probe_of_sender {
            inner.senders.forget_probe(self.sender);
        }
    }
}

impl Inner {
    /// Notes whether it failed for a sender; for how many, once they are so many that it is taken out.
    fn fails_for(&mut self, sender: u64, failed: bool, settings: &BreakerConfig, now: Instant) -> Option<usize> {
        if !failed {
            self.failing.clear();
            return None;
        }
        if self.failing.is_empty() || now.saturating_duration_since(self.failing_since) > settings.within {
            self.failing.clear();
            self.failing_since = now;
        }
        self.failing.insert(sender);
        let many = settings.faults > 0 && self.failing.len() >= settings.faults as usize;
        many.then(|| std::mem::take(&mut self.failing).len())
    }
}

#[cfg(test)]
mod tests;
