//! How a batch comes into the store, whatever is in it and whatever happens meanwhile.

use crate::batch::{Batch, place};
use crate::run::Consumer;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use confab_store::{Advance, Applied, Entry, Error as StoreError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// How long to wait before the store, or the dead letters, are tried again: from, to.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What the store made of a batch.
enum Answer {
    /// It is stored, and the positions have moved.
    Stored(Applied),
    /// Some record in it cannot be stored.
    Poison(String),
    /// Another consumer has taken over.
    Fenced(StoreError),
    /// The partitions were taken away, or the consumer is to stop.
    Abandoned,
}

impl Consumer {
    /// Stores a batch whole: in one transaction, or, where it holds poison, in as many as it takes to find it.
    pub(crate) async fn keep(&mut self, batch: Batch) {
        // The part to be stored next is last.
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            if !self.write_letters(&mut part).await {
                return self.abandon();
            }
            match self.apply(&part).await {
                Answer::Stored(applied) => self.stored(&part, applied),
                Answer::Poison(reason) => match part.split() {
                    Ok((first, second)) => parts.extend([second, first]),
                    Err(mut alone) => {
                        alone.set_aside(&reason);
                        parts.push(alone);
                    }
                },
                Answer::Fenced(error) => return self.give_up(&error),
                Answer::Abandoned => return self.abandon(),
            }
        }
    }

    /// Writes a dead letter for every record that owes one. False: abandoned.
    async fn write_letters(&mut self, part: &mut Batch) -> bool {
        let Some(held) = &self.held else { return false };
        let revoked = held.revoked.clone();
        for (origin, reason) in part.owing_letters() {
            let partition = origin.partition;
            let offset = origin.offset;
            error!(
                topic = self.topic,
                partition, offset, reason, "a record cannot be stored: it goes to the dead letters"
            );
            let letter = &*origin;
            let write = || self.letters.write(letter, reason);
            if self.persist("write a dead letter", &revoked, write).await.is_none() {
                return false;
            }
            origin.lettered = true;
            self.metrics.dead_letters.inc();
        }
        true
    }

    /// Offers a part to the store until it answers.
    async fn apply(&mut self, part: &Batch) -> Answer {
        let Some(held) = &self.held else { return Answer::Abandoned };
        let advances = part.advances(&self.topic, &held.positions);
        let revoked = held.revoked.clone();
        let mut backoff = Backoff::default();
        // A connection that broke may have broken after the commit: then the position is where we would have moved it.
        let mut in_doubt = false;
        loop {
            let began = Instant::now();
            let answer = self.store.apply(&part.entries, &advances).await;
            self.metrics.apply_seconds.observe(began.elapsed().as_secs_f64());
            let error = match answer {
                Ok(applied) => {
                    self.well("store");
                    return Answer::Stored(applied);
                }
                Err(error) => error,
            };
            match &error {
                StoreError::Fenced { partition, found, .. } if in_doubt && moved(&advances, *partition, *found) => {
                    info!("the batch was stored before the connection broke");
                    self.well("store");
                    return Answer::Stored(Applied::default());
                }
                StoreError::Fenced { .. } => {
                    self.well("store");
                    return Answer::Fenced(error);
                }
                StoreError::Unstorable { .. } => return Answer::Poison(chain(&error)),
                StoreError::Query { .. } if error.blames_the_data() => {
                    if part.len() > 1 || self.is_to_blame(&part.entries[0]).await {
                        return Answer::Poison(chain(&error));
                    }
                }
                _ => in_doubt |= error.temporary(),
            }
            self.metrics.store_retries.inc();
            self.ill("store", &chain(&error));
            if !backoff.wait(&revoked, &self.stop).await {
                return Answer::Abandoned;
            }
        }
    }

    /// Whether it is the record, of all that the database blames, that is at fault: then the store takes what keeps the
    /// record's place. A store that takes nothing (a full disk, a missing table) must not empty the journal into dead letters.
    async fn is_to_blame(&self, entry: &Entry) -> bool {
        let Some(place) = place(entry) else { return false };
        let probe = Entry::Unreadable { place: Some(place), reason: "could not be stored".into() };
        self.store.apply(&[probe], &[]).await.is_ok()
    }

    fn stored(&mut self, part: &Batch, applied: Applied) {
        let Some(held) = &mut self.held else { return };
        for Advance { partition, next, .. } in part.advances(&self.topic, &held.positions) {
            held.positions.insert(partition, Some(next));
            self.source.stored(partition, next);
            self.metrics.position(partition, next);
        }
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        self.metrics.batches.inc();
        self.metrics.batch_records.observe(part.len() as f64);
        self.metrics.records.inc_by(count(part.len()));
        self.metrics.duplicates.inc_by(count(applied.duplicates));
        self.metrics.copies.inc_by(count(applied.copies));
        self.metrics.unreadable.inc_by(count(applied.unreadable));
    }

    /// The rest of a batch is not stored. Where the consumer stops its positions tell the next one where to begin; where
    /// the partitions were taken away the event that says so is next.
    fn abandon(&mut self) {
        self.metrics.abandoned.inc();
        info!("abandoned a batch: it is read again by whoever has its partitions");
        self.held = None;
    }

    /// Does something until it succeeds; `None` if the partitions are taken away or the consumer is to stop.
    pub(crate) async fn persist<T, E: std::error::Error + 'static, F: Future<Output = Result<T, E>>>(
        &self,
        doing: &'static str,
        revoked: &CancellationToken,
        attempt: impl Fn() -> F,
    ) -> Option<T> {
        let mut backoff = Backoff::default();
        loop {
            match attempt().await {
                Ok(done) => {
                    self.well(doing);
                    return Some(done);
                }
                Err(error) => self.ill(doing, &chain(&error)),
            }
            if !backoff.wait(revoked, &self.stop).await {
                return None;
            }
        }
    }

    fn ill(&self, part: &'static str, trouble: &str) {
        if self.readiness.set(part, Some(trouble.to_owned())) {
            warn!(trouble, "could not go on ({part}); trying until it works");
        }
    }

    fn well(&self, part: &'static str) {
        if self.readiness.set(part, None) {
            info!("going on ({part})");
        }
    }
}

/// Whether this partition is found exactly where the batch would have moved it.
fn moved(advances: &[Advance], partition: i32, found: Option<i64>) -> bool {
    advances.iter().any(|advance| advance.partition == partition && Some(advance.next) == found)
}

/// Growing waits between attempts, half of each left to chance: consumers that lost the store together do not come back to
/// it together.
struct Backoff(ExponentialBackoff);

impl Default for Backoff {
    fn default() -> Self {
        // The jitter is added to each wait, up to that wait again.
        let delays = ExponentialBuilder::new().with_min_delay(BACKOFF.0 / 2).with_max_delay(BACKOFF.1 / 2);
        Self(delays.with_jitter().without_max_times().build())
    }
}

impl Backoff {
    /// Waits. False: do not try again.
    async fn wait(&mut self, revoked: &CancellationToken, stop: &CancellationToken) -> bool {
        let wait = self.0.next().unwrap_or(BACKOFF.1);
        tokio::select! {
            biased;
            () = revoked.cancelled() => false,
            () = stop.cancelled() => false,
            () = tokio::time::sleep(wait) => true,
        }
    }
}

/// An error with its causes in one line, and what to do where that is known.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    match error.downcast_ref::<StoreError>() {
        Some(error) if error.of_the_schema() => {
            format!("{text}; has `confab migrate` been run, with rights for this user?")
        }
        _ => text,
    }
}
