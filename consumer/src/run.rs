//! The consumer's loop: read, gather, store, go on.

use crate::admin::Readiness;
use crate::batch::Batch;
use crate::source::{Assigned, DeadLetters, Incoming, Lasts, Positions, Source, SourceEvent};
use crate::{Error, Metrics};
use confab_config::{ConsumerConfig, KafkaConfig};
use confab_store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The largest batch, in bytes as the records came.
const BATCH_BYTES: usize = 8 << 20;

/// A consumer that has joined its group.
pub struct Consumer {
    pub(crate) source: Source,
    pub(crate) store: Store,
    pub(crate) letters: DeadLetters,
    pub(crate) topic: String,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Readiness,
    pub(crate) stop: CancellationToken,
    pub(crate) held: Option<Held>,
    batch: Batch,
    batch_records: usize,
    batch_wait: Duration,
}

/// The partitions that are ours, and where the store is in them.
pub(crate) struct Held {
    pub positions: Positions,
    /// Cancelled when they are to be given up.
    pub revoked: CancellationToken,
}

/// What the loop does next.
enum Step {
    Stop,
    Store,
    Take(Option<SourceEvent>),
    Look,
}

impl Consumer {
    /// Joins the group. The store may be away; the consumer waits for it.
    ///
    /// # Errors
    /// [`Error::Settings`] for settings that Kafka's client does not take.
    pub fn start(
        kafka: &KafkaConfig,
        consumer: &ConsumerConfig,
        store: Store,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let readiness = Readiness::default();
        readiness.set("source", Some("no partitions have been assigned yet".into()));
        Ok(Self {
            letters: DeadLetters::new(kafka)?,
            source: Source::start(kafka, consumer, Arc::clone(&metrics))?,
            store,
            topic: kafka.events_topic(),
            metrics,
            readiness,
            stop,
            held: None,
            batch: Batch::default(),
            batch_records: consumer.batch_records.max(1),
            batch_wait: consumer.batch_wait,
        })
    }

    /// What keeps it from storing, for `/readyz`.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Runs until told to stop; then stores what it holds and leaves the group.
    pub async fn run(mut self) -> Result<(), Error> {
        loop {
            match self.step().await {
                Step::Stop => break,
                Step::Store => self.keep_batch().await,
                Step::Take(Some(SourceEvent::Assigned(assigned))) => self.assigned(assigned).await,
                Step::Take(Some(SourceEvent::Records(records))) => self.take(records).await,
                Step::Take(Some(SourceEvent::Revoked(revoked))) => {
                    self.drop_batch();
                    self.held = None;
                    revoked.acknowledge();
                }
                Step::Take(Some(SourceEvent::Failed(reason))) => return Err(Error::Source(reason)),
                Step::Take(None) => return Err(Error::Source("the poller ended".into())),
                Step::Look => {}
            }
            self.readiness.set("source", self.source.trouble());
        }
        info!("stopping: storing what was read, and leaving the group");
        self.keep_batch().await;
        self.source.close().await;
        Ok(())
    }

    async fn step(&mut self) -> Step {
        let due = self.batch.began + self.batch_wait;
        let waiting = !self.batch.is_empty();
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Step::Stop,
            () = tokio::time::sleep_until(due.into()), if waiting => Step::Store,
            event = self.source.next() => Step::Take(event),
            // So that readiness is looked at even where nothing happens.
            () = tokio::time::sleep(Duration::from_secs(1)) => Step::Look,
        }
    }

    /// Learns where the store is, and begins to read there.
    async fn assigned(&mut self, assigned: Assigned) {
        let mut positions = Positions::new();
        let mut lasts = Lasts::new();
        for &partition in &assigned.partitions {
            let store = self.store.clone();
            let topic = self.topic.clone();
            let find = || async { store.position_and_last(&topic, partition).await };
            let Some(position) = self.persist("find a position", &assigned.revoked, find).await else {
                // Taken away again, or stopping: either is said by the next event.
                return;
            };
            positions.insert(partition, position.map(|(next, _)| next));
            if let Some((next, last)) = position {
                self.metrics.position(partition, next);
                lasts.extend(last.map(|id| (partition, id)));
            }
        }
        self.held = Some(Held { positions: positions.clone(), revoked: assigned.revoked.clone() });
        assigned.begin(positions, lasts);
    }

    async fn take(&mut self, records: Vec<Incoming>) {
        // Given up: these were on their way already, and will be read again.
        if self.held.is_none() {
            return;
        }
        if self.batch.len() + records.len() > self.batch_records {
            self.keep_batch().await;
        }
        if self.held.is_some() {
            self.batch.extend(records);
        }
        if self.batch.len() >= self.batch_records || self.batch.bytes() >= BATCH_BYTES {
            self.keep_batch().await;
        }
    }

    async fn keep_batch(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            self.keep(batch).await;
        }
    }

    fn drop_batch(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            self.metrics.abandoned.inc();
            info!(records = batch.len(), "dropped a batch whose partitions were taken away: another consumer reads it");
        }
    }

    /// Gives all partitions up, since somebody else has them, and asks the group who has what.
    pub(crate) fn give_up(&mut self, error: &confab_store::Error) {
        warn!(%error, "fenced: giving the partitions up and joining the group again");
        self.metrics.fenced.inc();
        self.held = None;
        self.batch = Batch::default();
        self.source.rejoin();
    }
}
