//! Those whose messages made a plugin fail lately: each has a gate of its own.
//!
//! Only who made it fail is known, by a hash of the name, and no more than so many: who can make plugins fail under ever new
//! names must not fill the memory. Whoever finds no room pays for their own failed calls, and nobody else does.

use super::Change;
use super::gate::{Entry, Gate};
use super::recent::Recent;
use confab_config::BreakerConfig;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How many senders are known at once.
pub const SENDERS_MAX: usize = 1024;

/// Those who made a plugin fail.
#[derive(Default)]
pub struct Senders(HashMap<u64, Known>);

struct Known {
    gate: Gate,
    recent: Recent,
    /// When they made it fail last.
    failed_at: Instant,
}

impl Senders {
    /// Whether this one made it fail lately.
    pub fn knows(&self, sender: u64) -> bool {
        self.0.contains_key(&sender)
    }

    /// How many are not asked about now.
    pub fn paused(&self) -> usize {
        self.0.values().filter(|known| !known.gate.is_passing()).count()
    }

    /// Whether a call for this sender passes.
    pub fn enter(&mut self, sender: u64, now: Instant) -> Entry {
        self.0.get_mut(&sender).map_or(Entry::Passes, |known| known.gate.enter(true, now))
    }

    /// A probe came to nothing.
    pub fn forget_probe(&mut self, sender: u64) {
        if let Some(known) = self.0.get_mut(&sender) {
            known.gate.forget_probe();
        }
    }

    /// A probe of this sender ended; how long they are not asked about, if it failed.
    pub fn end_probe(&mut self, sender: u64, failed: bool, settings: &BreakerConfig, now: Instant) -> Option<Duration> {
        let known = self.0.get_mut(&sender)?;
        match known.gate.end_probe(failed, settings, now)? {
            Change::StaysOpen { pause } => {
                known.failed_at = now;
                Some(pause)
            }
            _ => {
                known.recent = Recent::new(now);
                None
            }
        }
    }

    /// A call for this sender ended; how long they are not asked about, if that begins now and `pauses` is set.
    pub fn end(
        &mut self,
        sender: u64,
        failed: bool,
        pauses: bool,
        settings: &BreakerConfig,
        now: Instant,
    ) -> Option<Duration> {
        if failed && !self.knows(sender) && !self.make_room(settings, now) {
            return None;
        }
        let fresh = || Known { gate: Gate::new(settings), recent: Recent::new(now), failed_at: now };
        let known = match failed {
            true => self.0.entry(sender).or_insert_with(fresh),
            false => self.0.get_mut(&sender)?,
        };
        if failed {
            known.failed_at = now;
        }
        let (faults, calls) = known.recent.count(failed, settings.within, now);
        let many = settings.faults > 0 && faults >= settings.faults;
        let most = f64::from(faults) >= f64::from(calls) * settings.share;
        (pauses && failed && many && most && known.gate.is_passing()).then(|| known.gate.shut(settings, now))
    }

    /// Whether there is room for one more, after those are forgotten who failed long ago.
    fn make_room(&mut self, settings: &BreakerConfig, now: Instant) -> bool {
        if self.0.len() >= SENDERS_MAX {
            let old = |known: &Known| now.saturating_duration_since(known.failed_at) > settings.within;
            self.0.retain(|_, known| !(known.gate.is_settled(now) && old(known)));
        }
        self.0.len() < SENDERS_MAX
    }
}
