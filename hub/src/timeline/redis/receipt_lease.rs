//! The receipt lease: a hub gives receipts only while the journal said a moment ago that no generation is newer.
//!
//! Two primaries can stand at the same time, where one hub has seen a failover and another has not yet. A room's order is
//! safe then, because each generation has offsets of its own; a key is not: were its record written to the journal after
//! the new generation has read the journal's tail, nobody there would know it, and a retry would get a second receipt.
//! So a receipt is given only within [`RECEIPT_LEASE`] of a question to the journal that found no newer generation, and
//! whoever opens a generation lets [`LEASE_WAIT`] pass before it is used. What was acknowledged before is in the tail by then. The
//! argument needs clocks that run equally fast, not clocks that agree: decision 0020.

use super::super::Error;
use super::journal_access::JournalAccess;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// How long an answer of the journal is good for, counted from the question.
const RECEIPT_LEASE: Duration = Duration::from_millis(800);
/// How long whoever opens a generation waits until no hub answers for an older one. Longer than
/// [`RECEIPT_LEASE`], so that clocks may differ a little in speed.
pub(super) const LEASE_WAIT: Duration = Duration::from_secs(1);
/// For how long a hub that finds itself at a former primary looks for the new one before it opens a generation there: two
/// sides that cannot see each other would open generations against one another without end.
const RECENT: Duration = Duration::from_secs(3);
/// How often the journal is asked.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// What is known of the newest generation. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct ReceiptLease {
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// The highest generation that was ever opened, as far as this hub has heard.
    newest: u64,
    /// When this hub heard of it.
    heard: Option<Instant>,
    /// When the journal was last asked for it, and answered.
    asked: Option<Instant>,
}

impl ReceiptLease {
    /// The highest generation that this hub knows to have been opened.
    pub(super) fn newest(&self) -> u64 {
        self.state.borrow().newest
    }

    /// Notes a generation that was opened.
    pub(super) fn learn(&self, generation: u64) {
        self.state.send_modify(|state| state.learn(generation));
    }

    /// Whether this hub heard of the newest generation so short a while ago that its server may not be known to everybody.
    pub(super) fn is_recent(&self) -> bool {
        self.state.borrow().heard.is_some_and(|heard| heard.elapsed() < RECENT)
    }

    /// Whether a receipt may be given that rests on this generation, now.
    pub(super) fn holds(&self, generation: u64) -> bool {
        self.state.borrow().holds(generation) == Some(true)
    }

    /// The same, but waits, at most for `patience`, for the journal to say so. `false`: a newer generation was opened.
    ///
    /// # Errors
    /// [`Error::Unavailable`]: the journal did not say.
    pub(super) async fn confirm(&self, generation: u64, patience: Duration) -> Result<bool, Error> {
        let mut state = self.state.subscribe();
        let said = state.wait_for(|state| state.holds(generation).is_some());
        match timeout(patience, said).await {
            Ok(Ok(state)) => Ok(state.holds(generation) == Some(true)),
            _ => Err(Error::Unavailable("the journal does not say whether a newer generation was opened".into())),
        }
    }

    /// Asks the journal, and notes what it says.
    pub(super) async fn ask(&self, journal: &dyn JournalAccess) {
        let asked = Instant::now();
        match journal.newest_generation().await {
            Ok(newest) => self.state.send_modify(|state| {
                state.learn(newest);
                state.asked = Some(asked);
            }),
            // What this hub has seen itself must do for now; no receipt rests on that.
            Err(error) => tracing::warn!(%error, "could not read the newest generation from the journal"),
        }
    }

    /// Asks again and again, until `stop`.
    pub(super) async fn keep(self, journal: Arc<dyn JournalAccess>, stop: CancellationToken) {
        let mut ticks = interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let work = async {
            loop {
                ticks.tick().await;
                self.ask(&*journal).await;
            }
        };
        stop.run_until_cancelled(work).await;
    }

    /// Returns once a generation newer than this one was opened.
    pub(super) async fn until_newer(&self, generation: u64) {
        let mut state = self.state.subscribe();
        if state.wait_for(|state| state.newest > generation).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl State {
    fn learn(&mut self, generation: u64) {
        if generation > self.newest {
            (self.newest, self.heard) = (generation, Some(Instant::now()));
        }
    }

    /// Whether the generation is the newest; `None` where the last word on it is too old.
    fn holds(&self, generation: u64) -> Option<bool> {
        if self.newest > generation {
            return Some(false);
        }
        // Lower than ours: the journal lost its generations. Nobody has opened a newer one, which is what counts.
        self.asked.is_some_and(|asked| asked.elapsed() < RECEIPT_LEASE).then_some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(newest: u64, asked: Option<Instant>) -> ReceiptLease {
        let lease = ReceiptLease::default();
        lease.state.send_replace(State { newest, asked, heard: None });
        lease
    }

    #[test]
    fn a_generation_holds_while_a_fresh_answer_names_none_that_is_newer() {
        assert!(!lease(0, None).holds(1));
        assert!(lease(1, Some(Instant::now())).holds(1));
        assert!(!lease(2, Some(Instant::now())).holds(1));
        assert!(!lease(1, Instant::now().checked_sub(RECEIPT_LEASE)).holds(1));
        assert!(lease(1, Some(Instant::now())).holds(3), "a journal that forgot is no newer generation");
    }

    #[test]
    fn only_a_higher_generation_counts_as_recent() {
        let lease = lease(4, None);
        lease.learn(4);
        assert!(!lease.is_recent());
        lease.learn(5);
        assert!(lease.is_recent() && lease.newest() == 5);
    }

    #[test]
    fn the_wait_is_longer_than_the_lease() {
        assert!(LEASE_WAIT > RECEIPT_LEASE && RECEIPT_LEASE > 2 * ASK_EVERY);
    }

    #[tokio::test]
    async fn who_waits_hears_what_the_journal_says_or_that_it_is_silent() {
        let silent = lease(1, None);
        assert!(silent.confirm(1, Duration::ZERO).await.is_err());
        let told = silent.clone();
        let waiting = tokio::spawn(async move { silent.confirm(1, Duration::from_secs(60)).await });
        told.learn(2);
        assert!(!waiting.await.unwrap().unwrap());
    }
}
