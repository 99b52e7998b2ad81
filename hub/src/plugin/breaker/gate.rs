//! A gate: open for calls, shut for a pause, then on probation.
//!
//! A few good probes bring it back; a bad one shuts it for twice the pause.

use super::Change;
use confab_config::BreakerConfig;
use std::time::{Duration, Instant};

/// How many good probes, one after the other, bring it back.
const PROBES: u32 = 3;

/// Whether calls are let through.
pub struct Gate {
    phase: Phase,
    /// The pause of the next time that it shuts.
    pause: Duration,
    /// When it was back last, to tell a relapse from news.
    back_at: Option<Instant>,
}

#[derive(Clone, Copy)]
enum Phase {
    Passing,
    Shut { until: Instant },
    Probing { good: u32, under_way: bool },
}

/// What a call may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It passes.
    Passes,
    /// It passes as a probe; whether it is the first after a pause.
    Probes { first: bool },
    /// It does not pass.
    Shut,
}

impl Gate {
    /// Letting everything through.
    pub fn new(settings: &BreakerConfig) -> Self {
        Self { phase: Phase::Passing, pause: settings.pause, back_at: None }
    }

    /// Whether it lets everything through.
    pub fn is_passing(&self) -> bool {
        matches!(self.phase, Phase::Passing)
    }

    /// Whether it is on probation.
    pub fn is_probing(&self) -> bool {
        matches!(self.phase, Phase::Probing { .. })
    }

    /// Whether it has been passing for so long that nothing need be known of it any more.
    pub fn is_settled(&self, now: Instant) -> bool {
        self.is_passing() && self.back_at.is_none_or(|at| now.saturating_duration_since(at) > self.pause)
    }

    /// Whether a call passes now. Whoever may not be a probe waits for others to be one.
    pub fn enter(&mut self, may_probe: bool, now: Instant) -> Entry {
        let first = match self.phase {
            Phase::Passing => return Entry::Passes,
            Phase::Shut { until } if now < until => return Entry::Shut,
            Phase::Probing { under_way: true, .. } => return Entry::Shut,
            _ if !may_probe => return Entry::Shut,
            Phase::Shut { .. } => true,
            Phase::Probing { .. } => false,
        };
        let good = if let Phase::Probing { good, .. } = self.phase { good } else { 0 };
        self.phase = Phase::Probing { good, under_way: true };
        Entry::Probes { first }
    }

    /// A probe came to nothing: another may be one.
    pub fn forget_probe(&mut self) {
        if let Phase::Probing { under_way, .. } = &mut self.phase {
            *under_way = false;
        }
    }

    /// A probe ended, well or not; what that changed.
    pub fn end_probe(&mut self, failed: bool, settings: &BreakerConfig, now: Instant) -> Option<Change> {
        let Phase::Probing { good, under_way } = &mut self.phase else { return None };
        *under_way = false;
        if failed {
            return Some(Change::StaysOpen { pause: self.pause_now(settings, now) });
        }
        *good += 1;
        (*good >= PROBES).then(|| {
            self.phase = Phase::Passing;
            self.back_at = Some(now);
            Change::Closed
        })
    }

    /// Shuts it; for how long.
    pub fn shut(&mut self, settings: &BreakerConfig, now: Instant) -> Duration {
        // Back for longer than it was out: the pauses begin small again.
        if self.is_settled(now) {
            self.pause = settings.pause;
        }
        self.pause_now(settings, now)
    }

    fn pause_now(&mut self, settings: &BreakerConfig, now: Instant) -> Duration {
        let pause = self.pause;
        self.phase = Phase::Shut { until: now + pause };
        self.pause = (pause * 2).min(settings.pause_max.max(settings.pause));
        pause
    }
}
