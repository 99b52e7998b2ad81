//! How often something took how long: exact to less than one part in a hundred, whatever the length, in a fixed space.

/// Steps between one power of two and the next, as a power of two.
const STEPS: u32 = 7;

/// Counts of durations.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    all: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; place(u64::MAX) + 1], all: 0 }
    }
}

impl Histogram {
    /// Counts one, in nanoseconds.
    pub fn add(&mut self, nanoseconds: u64) {
        self.counts[place(nanoseconds)] += 1;
        self.all += 1;
    }

    /// The shortest duration that this share of all, from 0 to 1, does not exceed. 0 if there is none.
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = ((self.all as f64 * share).ceil() as u64).max(1);
        let mut sum = 0;
        let found = self.counts.iter().position(|count| {
            sum += count;
            sum >= wanted
        });
        found.map_or(0, value)
    }
}

/// Where a value is counted: below 2^STEPS each has a place of its own, above they share one with their neighbours.
fn place(value: u64) -> usize {
    let shift = (64 - value.leading_zeros()).saturating_sub(STEPS + 1);
    ((u64::from(shift) << STEPS) + (value >> shift)) as usize
}

/// The least value that is counted there.
fn value(place: usize) -> u64 {
    let place = place as u64;
    let shift = (place >> STEPS).saturating_sub(1);
    (place - (shift << STEPS)) << shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_again_within_one_part_in_a_hundred() {
        for exact in [0, 1, 127, 128, 129, 255, 256, 1000, 123_456, 60_000_000_000, u64::MAX] {
            let found = value(place(exact));
            assert!(found <= exact && exact - found <= exact / 100, "{exact}: {found}");
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_counted() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), 0);
        (1..=100).for_each(|n| histogram.add(n));
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| histogram.quantile(share)), [1, 50, 99, 100]);
    }
}
