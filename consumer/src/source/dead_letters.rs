//! The dead letters: a topic of records that could not be stored, each with its reason and where it lay.

use super::context::Logging;
use super::{Origin, client_config};
use crate::Error;
use confab_config::KafkaConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use std::time::Duration;

/// Writes dead letters. A letter is the record's own key and value; the headers `reason`, `origin-topic`,
/// `origin-partition` and `origin-offset` say why it is here and where it was. The same record may have two letters, if
/// the consumer died before it went on.
pub struct DeadLetters {
    producer: FutureProducer<Logging>,
    topic: String,
    origin: String,
}

impl DeadLetters {
    /// Prepares to write; connects when there is something to write.
    pub fn new(kafka: &KafkaConfig) -> Result<Self, Error> {
        let mut client = client_config(kafka, &[])?;
        client
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("delivery.timeout.ms", kafka.delivery_timeout.as_millis().to_string());
        let producer = client
            .create_with_context(Logging)
            .map_err(|error| Error::Settings(format!("`journal.kafka` cannot be used: {error}")))?;
        Ok(Self { producer, topic: kafka.dead_letters_topic(), origin: kafka.events_topic() })
    }

    /// Writes one letter; `Ok` when the brokers have it.
    pub async fn write(&self, record: &Origin, reason: &str) -> Result<(), KafkaError> {
        let partition = record.partition.to_string();
        let offset = record.offset.to_string();
        let headers = OwnedHeaders::new_with_capacity(4)
            .insert(Header { key: "reason", value: Some(reason) })
            .insert(Header { key: "origin-topic", value: Some(&self.origin) })
            .insert(Header { key: "origin-partition", value: Some(&partition) })
            .insert(Header { key: "origin-offset", value: Some(&offset) });
        let letter = FutureRecord::to(&self.topic).key(&record.key).payload(&record.value).headers(headers);
        self.producer.send(letter, Duration::from_secs(1)).await.map(drop).map_err(|(error, _)| error)
    }
}
