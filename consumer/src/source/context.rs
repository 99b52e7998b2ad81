//! What librdkafka tells us: changes of the assignment, troubles and log lines.

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::{debug, error, info, warn};

/// A change of the assignment, not yet answered. librdkafka waits with the next change until this one is answered.
#[derive(Debug)]
pub enum Change {
    /// These partitions are ours; answered by `assign`.
    Assign(Vec<i32>),
    /// All partitions are taken; answered by `unassign`.
    Revoke,
}

/// The consumer's context: it keeps changes for the poller, which answers them when it can.
#[derive(Debug, Default)]
pub struct Watch {
    /// Changes that wait.
    pub changes: Mutex<VecDeque<Change>>,
    /// The consumer is leaving: changes are answered at once.
    pub closing: AtomicBool,
}

impl ConsumerContext for Watch {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, change: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        if self.closing.load(Ordering::Acquire) {
            if let Err(error) = consumer.unassign() {
                debug!(%error, "could not give the partitions up");
            }
            return;
        }
        let change = match change {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                Change::Assign(partitions.elements().iter().map(|element| element.partition()).collect())
            }
            _ => Change::Revoke,
        };
        self.changes.lock().push_back(change);
    }
}

impl ClientContext for Watch {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(%error, reason, "trouble with a broker");
    }
}

/// The context of the dead letters' producer.
#[derive(Clone, Debug, Default)]
pub struct Logging;

impl ConsumerContext for Logging {}

impl ClientContext for Logging {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(%error, reason, "trouble with a broker");
    }
}

/// librdkafka reports every lost connection as an error; it connects again by itself, so they are warnings.
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
