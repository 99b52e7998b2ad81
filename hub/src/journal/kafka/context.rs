//! What librdkafka tells us: deliveries, troubles and log lines.

use super::health::Health;
use crate::journal::{Counters, Error};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use std::sync::Arc;
use tokio::sync::oneshot;
use tracing::{debug, error, info, warn};

/// Where a record landed.
pub type Landed = (i32, i64);

/// The context of the producer: it counts, watches and answers.
#[derive(Clone, Default)]
pub struct Producing {
    pub counters: Arc<Counters>,
    pub health: Arc<Health>,
}

/// A record on its way; whoever waits may have gone, it is counted all the same.
pub struct Waiting {
    pub number: u64,
    pub answer: oneshot::Sender<Result<Landed, Error>>,
}

impl ProducerContext for Producing {
    type DeliveryOpaque = Box<Waiting>;

    fn delivery(&self, report: &DeliveryResult<'_>, waiting: Box<Waiting>) {
        let answer = match report {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(undelivered(error)),
        };
        self.health.arrived(waiting.number);
        self.counters.answered(1, &answer);
        if let Err(error) = &answer {
            warn!(%error, "a record was not delivered");
        }
        // The waiter may have run out of time: the outcome is counted and logged above.
        let _ = waiting.answer.send(answer);
    }
}

impl ClientContext for Producing {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                if self.health.bad("all brokers are down".into()) {
                    warn!(reason, "the journal is unhealthy: all brokers are down");
                }
            }
            _ => {
                self.health.hint(reason);
                debug!(%error, reason, "trouble with a broker");
            }
        }
    }
}

/// The context of readers and of the admin client: it only keeps the last reason, for better errors.
#[derive(Clone, Default)]
pub struct Reading {
    /// Why the last connection failed.
    pub reason: Arc<parking_lot::Mutex<Option<String>>>,
}

impl ClientContext for Reading {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(%error, reason, "trouble with a broker");
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.reason.lock() = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for Reading {}

/// librdkafka reports every lost connection as an error; whether it matters is said by health, so they are warnings.
fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        // One table of options serves producers and consumers; what is only the other's is no news.
        _ if facility == "CONFWARN" && line.contains("will be ignored by this") => {
            debug!(target: "librdkafka", facility, "{line}");
        }
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            error!(target: "librdkafka", facility, "{line}");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => warn!(target: "librdkafka", facility, "{line}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => info!(target: "librdkafka", facility, "{line}"),
        RDKafkaLogLevel::Debug => debug!(target: "librdkafka", facility, "{line}"),
    }
}

/// What a failed delivery means. Only where librdkafka or the leader certainly wrote nothing it is a refusal;
/// the list is short because "unknown" is always a safe answer and "refused" is not.
fn undelivered(error: &KafkaError) -> Error {
    use RDKafkaErrorCode as Code;
    match error.rdkafka_error_code() {
        Some(
            Code::PurgeQueue
            | Code::QueueFull
            | Code::UnknownTopic
            | Code::UnknownPartition
            | Code::MessageSizeTooLarge
            | Code::MessageBatchTooLarge
            | Code::InvalidMessage,
        ) => Error::Refused(error.to_string()),
        _ => Error::Unknown(error.to_string()),
    }
}

/// What a record that did not even enter the queue means: nothing was written.
pub fn not_enqueued(error: &KafkaError) -> Error {
    Error::Refused(error.to_string())
}
