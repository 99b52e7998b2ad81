//! Keeps one kind of trouble from filling the log: so many lines in a while, and how many were left out.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// So many lines are written …
const LINES_MAX: u32 = 10;
/// … in so long.
const WHILE: Duration = Duration::from_secs(10);

/// How many lines there were.
pub struct LogLimit {
    state: Mutex<State>,
}

struct State {
    began: Instant,
    lines: u32,
    left_out: u64,
}

impl Default for LogLimit {
    fn default() -> Self {
        Self { state: Mutex::new(State { began: Instant::now(), lines: 0, left_out: 0 }) }
    }
}

impl LogLimit {
    /// Whether a line may be written now; and how many were left out before it.
    pub fn may_write(&self) -> Option<u64> {
        self.may_write_at(Instant::now())
    }

    fn may_write_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        if now.saturating_duration_since(state.began) >= WHILE {
            (state.began, state.lines) = (now, 0);
        }
        if state.lines >= LINES_MAX {
            state.left_out += 1;
            return None;
        }
        state.lines += 1;
        Some(std::mem::take(&mut state.left_out))
    }

    /// How many were left out and not told yet: whoever asks tells it.
    pub fn left_out(&self) -> u64 {
        std::mem::take(&mut self.state.lock().left_out)
    }
}

/// A bound for each of a few kinds of trouble, so that many lines of one leave room for those of another.
#[derive(Default)]
pub struct LogLimits {
    kinds: Mutex<BTreeMap<&'static str, LogLimit>>,
}

impl LogLimits {
    /// Whether a line of this kind may be written now; and how many of its kind were left out before it.
    pub fn may_write(&self, kind: &'static str) -> Option<u64> {
        self.kinds.lock().entry(kind).or_default().may_write()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_past_the_limit_are_left_out_and_counted() {
        let limit = LogLimit::default();
        let now = Instant::now();
        let written = (0..25).filter(|_| limit.may_write_at(now).is_some()).count();
        assert_eq!(written, 10);
        let later = now + WHILE * 2;
        assert_eq!(limit.may_write_at(later), Some(15));
        assert_eq!(limit.may_write_at(later), Some(0));
    }

    #[test]
    fn one_kind_does_not_silence_another() {
        let limits = LogLimits::default();
        let written = (0..30).filter(|_| limits.may_write("loud").is_some()).count();
        assert_eq!((written, limits.may_write("seldom")), (10, Some(0)));
    }

    #[test]
    fn what_was_left_out_is_said_once() {
        let limit = LogLimit::default();
        let now = Instant::now();
        let written = (0..12).filter(|_| limit.may_write_at(now).is_some()).count();
        assert_eq!((written, limit.left_out(), limit.left_out()), (10, 2, 0));
    }
}
