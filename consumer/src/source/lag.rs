//! Lag: how many records of each partition wait, measured beside the poller.
//!
//! Over a connection of its own: on the poller's, each question would wait behind a fetch that waits for records, half a
//! second, and nobody would read meanwhile.

use super::context::Logging;
use super::{Shared, client_config};
use crate::{Error, Metrics};
use confab_config::KafkaConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tracing::debug;

/// How often lag is measured.
const MEASURE: Duration = Duration::from_secs(5);
/// How long one question to the brokers may take.
const ASK: Duration = Duration::from_secs(1);

/// Who measures.
pub struct Gauge {
    client: BaseConsumer<Logging>,
    topic: String,
    shared: Weak<Shared>,
    metrics: Arc<Metrics>,
}

impl Gauge {
    /// Prepares to measure; connects when there is something to ask.
    pub fn new(kafka: &KafkaConfig, shared: &Arc<Shared>, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let client = client_config(kafka, &[])?
            .create_with_context(Logging)
            .map_err(|error| Error::Settings(format!("`journal.kafka` cannot be used: {error}")))?;
        Ok(Self { client, topic: kafka.events_topic(), shared: Arc::downgrade(shared), metrics })
    }

    /// Measures until whoever holds the other end of `ended` is gone.
    pub fn run(self, ended: &Receiver<()>) {
        while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(MEASURE) {
            self.measure();
        }
    }

    fn measure(&self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let partitions: Vec<_> = shared.positions.lock().keys().copied().collect();
        for partition in partitions {
            let (low, high) = match self.client.fetch_watermarks(&self.topic, partition, ASK) {
                Ok(watermarks) => watermarks,
                Err(error) => return debug!(partition, %error, "could not measure lag"),
            };
            // Under the lock: a partition that was handed on meanwhile must not be written again.
            if let Some(position) = shared.positions.lock().get(&partition) {
                self.metrics.lag(partition, high - position.unwrap_or(low));
            }
        }
    }
}
