//! A tally: what one plugin did since it was loaded, for whoever asks how it is. Counting takes no lock.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// So many classes for each doubling: a quantile is off by a tenth at most.
const PER_OCTAVE: usize = 8;
/// Up to 2^25 microseconds, half a minute.
const CLASSES: usize = 25 * PER_OCTAVE;

/// What one plugin did.
pub struct Tally {
    calls: AtomicU64,
    faults: AtomicU64,
    skipped: AtomicU64,
    memory: AtomicUsize,
    /// How many calls took how long, in classes that grow.
    micros: Box<[AtomicU64]>,
}

/// The same as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Tallied {
    /// How often it was asked.
    pub calls: u64,
    /// How often it failed.
    pub faults: u64,
    /// How often it was not asked, as it was taken out.
    pub skipped: u64,
    /// Half of its calls took at most so many microseconds, by a tenth.
    pub p50_us: u64,
    /// Of a hundred calls, 99 took at most so many microseconds, by a tenth.
    pub p99_us: u64,
    /// The most memory that one of its instances had, in bytes.
    pub memory_bytes: usize,
}

impl Default for Tally {
    fn default() -> Self {
        let [calls, faults, skipped] = [const { AtomicU64::new(0) }; 3];
        let micros = (0..CLASSES).map(|_| AtomicU64::new(0)).collect();
        Self { calls, faults, skipped, memory: AtomicUsize::new(0), micros }
    }
}

impl Tally {
    /// It was asked.
    pub fn asked(&self, micros: u64, failed: bool) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.faults.fetch_add(u64::from(failed), Ordering::Relaxed);
        self.micros[class(micros)].fetch_add(1, Ordering::Relaxed);
    }

    /// It was not asked.
    pub fn skipped(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }

    /// One of its instances has so much memory.
    pub fn memory(&self, bytes: usize) {
        self.memory.fetch_max(bytes, Ordering::Relaxed);
    }

    /// The most memory that one of its instances had, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    /// The numbers so far.
    pub fn read(&self) -> Tallied {
        let counts: Vec<u64> = self.micros.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Tallied {
            calls: self.calls.load(Ordering::Relaxed),
            faults: self.faults.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
            p50_us: quantile(&counts, 50),
            p99_us: quantile(&counts, 99),
            memory_bytes: self.memory_bytes(),
        }
    }
}

/// Eight classes for each doubling; below eight microseconds, one for each.
fn class(micros: u64) -> usize {
    let bits = 64 - micros.leading_zeros() as usize;
    if bits <= 3 {
        return micros as usize;
    }
    let octave = bits - 4;
    (octave * PER_OCTAVE + (micros >> octave) as usize).min(CLASSES - 1)
}

/// The largest value of a class.
fn largest(class: usize) -> u64 {
    if class < PER_OCTAVE {
        return class as u64;
    }
    let octave = class / PER_OCTAVE - 1;
    (((class - octave * PER_OCTAVE + 1) as u64) << octave) - 1
}

fn quantile(counts: &[u64], percent: u64) -> u64 {
    let all: u64 = counts.iter().sum();
    let wanted = (all * percent).div_ceil(100);
    let mut below = 0;
    for (class, count) in counts.iter().enumerate() {
        below += count;
        if below >= wanted && all > 0 {
            return largest(class);
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_falls_into_a_class_that_is_near() {
        for micros in (0..5000).chain([10_000, 123_456, 1 << 20, 30_000_000]) {
            let at_most = largest(class(micros));
            assert!(at_most >= micros && at_most as f64 <= micros as f64 * 1.125 + 1.0, "{micros}: {at_most}");
        }
        assert_eq!(class(u64::MAX), CLASSES - 1);
    }

    #[test]
    fn quantiles_are_those_of_what_was_counted() {
        let tally = Tally::default();
        assert_eq!(tally.read().p99_us, 0);
        for n in 0..100 {
            tally.asked(if n < 90 { 5 } else { 1000 }, n == 99);
        }
        tally.memory(7);
        tally.memory(3);
        let read = tally.read();
        assert_eq!((read.calls, read.faults, read.p50_us, read.memory_bytes), (100, 1, 5, 7));
        assert!((1000..1125).contains(&read.p99_us), "{read:?}");
    }
}
