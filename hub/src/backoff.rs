//! Growing waits between attempts at something that may work in a moment.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The waits of one series of attempts: each is twice the one before, from the shortest to the longest, and half of each is
/// left to chance, so that hubs that lost a server together do not come back together. There is no last one: when to give up
/// is for the caller to say. A new series, after something worked, is a new value.
pub(crate) struct Backoff(ExponentialBackoff);

impl Backoff {
    /// From a shortest to a longest wait.
    pub(crate) fn new(waits: RangeInclusive<Duration>) -> Self {
        // The jitter is added to each wait, up to that wait again.
        let delays = ExponentialBuilder::new().with_min_delay(*waits.start() / 2).with_max_delay(*waits.end() / 2);
        Self(delays.with_jitter().without_max_times().build())
    }

    /// Waits. It may be dropped at any time, such as by `run_until_cancelled`.
    pub(crate) async fn wait(&mut self) {
        if let Some(wait) = self.0.next() {
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_no_two_series_are_alike() {
        let shortest = Duration::from_millis(50);
        let longest = Duration::from_secs(2);
        let series = || Backoff::new(shortest..=longest).0.take(100).collect::<Vec<_>>();
        let waits = series();
        for (wait, whole) in waits.iter().zip([50, 100, 200, 400, 800, 1600, 2000, 2000].map(Duration::from_millis)) {
            assert!((whole / 2..=whole).contains(wait), "{wait:?} of {whole:?}");
        }
        assert_eq!(waits.len(), 100, "there is always another");
        assert!(waits.iter().all(|wait| *wait <= longest));
        assert_ne!(waits, series());
    }
}
