//! The breaker: takes a plugin that keeps failing out of the way, and brings it back carefully.
//!
//! *Closed*: every event is put to the plugin. *Open*: none is; what its `on_fault` says follows at once. After a pause,
//! *half open*: one event at a time is a probe, for the others it is still out. A few good probes close it again; a bad one
//! opens it for twice the pause.

use confab_config::BreakerConfig;
use parking_lot::Mutex;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How many good probes, one after the other, bring a plugin back.
const PROBES: u32 = 3;
/// Into how many parts the time that is looked at is divided: the oldest part is forgotten as a whole.
const PARTS: usize = 8;

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
    inner: Mutex<Inner>,
}

struct Inner {
    phase: Phase,
    /// The pause of the next time that it opens.
    pause: Duration,
    /// When it was closed last, to tell a relapse from news.
    closed_at: Option<Instant>,
    recent: Recent,
}

enum Phase {
    Closed,
    Open { until: Instant },
    HalfOpen { good: u32, probing: bool },
}

/// What changed, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was taken out: so many of so many recent calls failed.
    Opened { faults: u32, calls: u32, pause: Duration },
    /// The pause is over: it is tried.
    Trying,
    /// A probe failed: it stays out.
    StaysOpen { pause: Duration },
    /// It is back.
    Closed,
}

/// The right to ask the plugin once. Dropped without an outcome (whoever asked went away), it counts as nothing.
pub struct Pass<'b> {
    breaker: &'b Breaker,
    probe: bool,
    done: bool,
}

impl Breaker {
    /// Closed.
    pub fn new(settings: BreakerConfig) -> Self {
        let inner =
            Inner { phase: Phase::Closed, pause: settings.pause, closed_at: None, recent: Recent::new(Instant::now()) };
        Self { settings, inner: Mutex::new(inner) }
    }

    /// The right to ask now, if it is given; and what that changed.
    pub fn enter(&self, now: Instant) -> (Option<Pass<'_>>, Option<Change>) {
        let pass = |probe| Some(Pass { breaker: self, probe, done: false });
        let mut inner = self.inner.lock();
        match &mut inner.phase {
            Phase::Closed => (pass(false), None),
            Phase::Open { until } if now < *until => (None, None),
            Phase::Open { .. } => {
                inner.phase = Phase::HalfOpen { good: 0, probing: true };
                (pass(true), Some(Change::Trying))
            }
            Phase::HalfOpen { probing: true, .. } => (None, None),
            Phase::HalfOpen { probing, .. } => {
                *probing = true;
                (pass(true), None)
            }
        }
    }

    /// Where it stands.
    pub fn state(&self) -> BreakerState {
        match self.inner.lock().phase {
            Phase::Closed => BreakerState::Closed,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
            Phase::Open { .. } => BreakerState::Open,
        }
    }
}

impl Pass<'_> {
    /// Says what came of it, and hears what that changed.
    pub fn end(mut self, failed: bool, now: Instant) -> Option<Change> {
        self.done = true;
        let settings = &self.breaker.settings;
        let mut inner = self.breaker.inner.lock();
        match (&mut inner.phase, self.probe) {
            (Phase::HalfOpen { good, probing }, true) => {
                *probing = false;
                if failed {
                    return Some(inner.reopen(settings, now));
                }
                *good += 1;
                (*good >= PROBES).then(|| inner.close(now))
            }
            (Phase::Closed, _) => {
                let (faults, calls) = inner.recent.count(failed, settings.within, now);
                let many = settings.faults > 0 && faults >= settings.faults;
                (failed && many && f64::from(faults) >= f64::from(calls) * settings.share)
                    .then(|| inner.open(settings, faults, calls, now))
            }
            // It began before the breaker opened, and says nothing new.
            _ => None,
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe
            && !self.done
            && let Phase::HalfOpen { probing, .. } = &mut self.breaker.inner.lock().phase
        {
            *probing = false;
        }
    }
}

impl Inner {
    fn open(&mut self, settings: &BreakerConfig, faults: u32, calls: u32, now: Instant) -> Change {
        // Back for longer than it was out: the pauses begin small again.
        if self.closed_at.is_none_or(|at| now.saturating_duration_since(at) > self.pause) {
            self.pause = settings.pause;
        }
        Change::Opened { faults, calls, pause: self.pause_now(settings, now) }
    }

    fn reopen(&mut self, settings: &BreakerConfig, now: Instant) -> Change {
        Change::StaysOpen { pause: self.pause_now(settings, now) }
    }

    fn pause_now(&mut self, settings: &BreakerConfig, now: Instant) -> Duration {
        let pause = self.pause;
        self.phase = Phase::Open { until: now + pause };
        self.pause = (pause * 2).min(settings.pause_max.max(settings.pause));
        pause
    }

    fn close(&mut self, now: Instant) -> Change {
        self.phase = Phase::Closed;
        self.closed_at = Some(now);
        self.recent = Recent::new(now);
        Change::Closed
    }
}

/// The calls of the last while and how many failed, in parts.
struct Recent {
    parts: [(u32, u32); PARTS],
    at: usize,
    began: Instant,
}

impl Recent {
    fn new(now: Instant) -> Self {
        Self { parts: [(0, 0); PARTS], at: 0, began: now }
    }

    /// Counts a call; gives the faults and the calls of the last while.
    fn count(&mut self, failed: bool, within: Duration, now: Instant) -> (u32, u32) {
        let part = within / PARTS as u32;
        let passed = now.saturating_duration_since(self.began);
        if passed >= within + part {
            *self = Self::new(now);
        } else if passed >= part {
            // At most one round, as what is older was forgotten above.
            while now.saturating_duration_since(self.began) >= part && !part.is_zero() {
                self.at = (self.at + 1) % PARTS;
                self.parts[self.at] = (0, 0);
                self.began += part;
            }
        }
        let here = &mut self.parts[self.at];
        *here = (here.0.saturating_add(u32::from(failed)), here.1.saturating_add(1));
        if !failed {
            return (0, 0); // nobody looks
        }
        self.parts.iter().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1.saturating_add(part.1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> Breaker {
        let settings =
            BreakerConfig { faults: 3, share: 0.5, within: 8 * SECOND, pause: SECOND, pause_max: 3 * SECOND };
        Breaker::new(settings)
    }

    fn call(breaker: &Breaker, failed: bool, now: Instant) -> Option<Change> {
        breaker.enter(now).0.expect("it is asked").end(failed, now)
    }

    /// Opens at `now`.
    fn opened(breaker: &Breaker, now: Instant) {
        assert_eq!((call(breaker, true, now), call(breaker, true, now)), (None, None));
        assert!(matches!(call(breaker, true, now), Some(Change::Opened { .. })));
    }

    #[test]
    fn faults_that_are_many_and_most_open_it() {
        let (breaker, now) = (breaker(), Instant::now());
        assert_eq!((call(&breaker, true, now), call(&breaker, true, now)), (None, None));
        assert_eq!(call(&breaker, true, now), Some(Change::Opened { faults: 3, calls: 3, pause: SECOND }));
        assert_eq!(breaker.state(), BreakerState::Open);
        assert!(breaker.enter(now + SECOND / 2).0.is_none());
    }

    #[test]
    fn a_few_faults_among_many_good_calls_do_not() {
        let (breaker, now) = (breaker(), Instant::now());
        for n in 0..100 {
            assert_eq!(call(&breaker, n % 4 == 0, now), None, "call {n}");
        }
    }

    #[test]
    fn faults_that_are_long_ago_do_not() {
        let (breaker, now) = (breaker(), Instant::now());
        for n in 0..20 {
            assert_eq!(call(&breaker, true, now + n * 5 * SECOND), None, "call {n}");
        }
    }

    #[test]
    fn zero_faults_turn_it_off() {
        let breaker = Breaker::new(BreakerConfig { faults: 0, ..BreakerConfig::default() });
        assert!((0..100).all(|_| call(&breaker, true, Instant::now()).is_none()));
    }

    #[test]
    fn after_the_pause_one_at_a_time_is_tried_and_good_ones_close_it() {
        let (breaker, now) = (breaker(), Instant::now());
        opened(&breaker, now);
        let later = now + SECOND;
        let (probe, change) = breaker.enter(later);
        assert_eq!(change, Some(Change::Trying));
        assert!(breaker.enter(later).0.is_none(), "one at a time");
        drop(probe);
        for _ in 0..PROBES - 1 {
            assert_eq!(call(&breaker, false, later), None);
        }
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert_eq!(call(&breaker, false, later), Some(Change::Closed));
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn bad_probes_make_the_pauses_grow_to_their_limit() {
        let (breaker, mut now) = (breaker(), Instant::now());
        opened(&breaker, now);
        now += SECOND;
        for pause in [2, 3, 3] {
            assert_eq!(call(&breaker, true, now), Some(Change::StaysOpen { pause: pause * SECOND }));
            assert!(breaker.enter(now + pause * SECOND - SECOND / 10).0.is_none());
            now += pause * SECOND;
        }
    }

    #[test]
    fn a_relapse_goes_on_where_it_was_and_news_begin_small() {
        let (breaker, now) = (breaker(), Instant::now());
        opened(&breaker, now);
        let back = |now| (0..PROBES).filter_map(|_| call(&breaker, false, now)).last();
        assert_eq!(back(now + SECOND), Some(Change::Closed));
        assert_eq!((call(&breaker, true, now + SECOND), call(&breaker, true, now + SECOND)), (None, None));
        assert!(
            matches!(call(&breaker, true, now + SECOND), Some(Change::Opened { pause, .. }) if pause == 2 * SECOND)
        );
        assert_eq!(back(now + 3 * SECOND), Some(Change::Closed));
        let news = now + 60 * SECOND;
        assert_eq!((call(&breaker, true, news), call(&breaker, true, news)), (None, None));
        assert!(matches!(call(&breaker, true, news), Some(Change::Opened { pause, .. }) if pause == SECOND));
    }

    #[test]
    fn what_began_before_it_opened_says_nothing() {
        let (breaker, now) = (breaker(), Instant::now());
        let late = breaker.enter(now).0.expect("it is closed");
        opened(&breaker, now);
        assert_eq!(late.end(false, now), None);
        assert_eq!(breaker.state(), BreakerState::Open);
    }
}
