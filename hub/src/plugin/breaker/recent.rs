//! The calls of the last while, and how many of them failed.

use std::time::{Duration, Instant};

/// Into how many parts the time that is looked at is divided: the oldest part is forgotten as a whole.
const PARTS: usize = 8;

/// The calls of the last while and how many failed, in parts.
pub struct Recent {
    parts: [(u32, u32); PARTS],
    at: usize,
    began: Instant,
}

impl Recent {
    /// None yet.
    pub fn new(now: Instant) -> Self {
        Self { parts: [(0, 0); PARTS], at: 0, began: now }
    }

    /// Counts a call; gives the faults and the calls of the last while.
    pub fn count(&mut self, failed: bool, within: Duration, now: Instant) -> (u32, u32) {
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
