//! So many at once, and then so many in a while.

use std::time::Duration;
use tokio::time::Instant;

/// A rate: one in each of these, and after silence so many at once.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// The time in which one is earned.
    pub each: Duration,
    /// The most that are earned in advance.
    pub burst: u32,
}

/// The time at which everything that was taken will have been earned (the generic cell rate algorithm).
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    earned_at: Option<Instant>,
}

impl Pace {
    /// Takes one, or tells after how long one can be had.
    pub fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let earned_at = self.earned_at.map_or(now, |at| at.max(now)) + rate.each;
        match earned_at.checked_duration_since(now + rate.each * rate.burst) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                self.earned_at = Some(earned_at);
                Ok(())
            }
        }
    }

    /// Whether everything that was taken has been earned: nothing is lost if this is forgotten.
    pub fn idle(&self, now: Instant) -> bool {
        self.earned_at.is_none_or(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_one_in_a_while() {
        let rate = Rate { each: Duration::from_millis(10), burst: 50 };
        let mut pace = Pace::default();
        let now = Instant::now();
        let mut taken = |at| (0..200).filter(|_| pace.take(rate, at).is_ok()).count();
        assert_eq!((taken(now), taken(now + rate.each / 2), taken(now + rate.each)), (50, 0, 1));
        assert_eq!(taken(now + rate.each * 1000), 50);
        assert_eq!(pace.take(rate, now + rate.each * 1000), Err(rate.each), "it tells when");
        assert!(!pace.idle(now + rate.each * 1049) && pace.idle(now + rate.each * 1050));
    }
}
