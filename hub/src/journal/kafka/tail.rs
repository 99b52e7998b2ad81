//! The journal's tail: what was journaled since a time, up to the end as it is now.

use super::context::Reading;
use super::{Error, client_config, failed, settings};
use confab_config::KafkaConfig;
use confab_protocol::{Millis, Record};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tracing::warn;

/// What a reading of the tail came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Records that were read.
    pub records: u64,
    /// Records that could not be read, and were skipped.
    pub unreadable: u64,
}

/// Reads the tail, blocking.
pub fn read(
    config: &KafkaConfig,
    since: Millis,
    deadline: Duration,
    mut each: impl FnMut(Record),
) -> Result<Tail, Error> {
    let until = Instant::now() + deadline;
    let consumer = reader(config)?;
    let topic = config.events_topic();
    let mut open = assign(&consumer, &topic, since, until)?;
    let mut tail = Tail::default();
    while !open.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(failed(
                format!("read the tail of topic \"{topic}\" in {} ms", deadline.as_millis()),
                format!("{} records were read, {} partitions are not at their end", tail.records, open.len()),
            ));
        }
        match consumer.poll(left.min(Duration::from_millis(100))) {
            None => {}
            Some(Ok(message)) => take(&message, &mut open, &mut tail, &mut each),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            // Brokers that come and go are librdkafka's to bear; the deadline bounds it.
            Some(Err(error)) => warn!(%error, topic, "trouble while reading the journal's tail"),
        }
    }
    Ok(tail)
}

fn take(message: &BorrowedMessage<'_>, open: &mut BTreeMap<i32, i64>, tail: &mut Tail, each: &mut impl FnMut(Record)) {
    let partition = message.partition();
    let offset = message.offset();
    let Some(&end) = open.get(&partition) else { return };
    if offset < end {
        match Record::from_json(message.payload().unwrap_or_default()) {
            Ok(record) => {
                tail.records += 1;
                each(record);
            }
            Err(error) => {
                tail.unreadable += 1;
                warn!(%error, partition, offset, "skipped an unreadable record of the journal's tail");
            }
        }
    }
    if offset + 1 >= end {
        open.remove(&partition);
    }
}

/// A client that reads partitions which it is given by hand, from their beginning unless told otherwise.
pub(super) fn reader(config: &KafkaConfig) -> Result<BaseConsumer<Reading>, Error> {
    let mut client = client_config(config, &[])?;
    client
        // Only because librdkafka wants a name for anyone who reads; partitions are assigned by hand, nothing is
        // committed, and no group is joined.
        .set("group.id", format!("{}-tail", config.topic_prefix))
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest");
    client.create_with_context(Reading::default()).map_err(|error| settings(&error))
}

/// Where each partition that holds anything ends now, blocking.
pub fn ends(config: &KafkaConfig, deadline: Duration) -> Result<BTreeMap<i32, i64>, Error> {
    let until = Instant::now() + deadline;
    let left = || until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let consumer = reader(config)?;
    let topic = config.events_topic();
    let mut ends = BTreeMap::new();
    for partition in partitions(&consumer, &topic, left())? {
        let found = consumer.fetch_watermarks(&topic, partition, left());
        let (begin, end) = found.map_err(|error| failed(format!("find the ends of topic \"{topic}\""), error))?;
        if begin < end {
            ends.insert(partition, end);
        }
    }
    Ok(ends)
}

/// The partitions of a topic; an error if there is no such topic.
pub(super) fn partitions(consumer: &BaseConsumer<Reading>, topic: &str, within: Duration) -> Result<Vec<i32>, Error> {
    let doing = || format!("find the partitions of topic \"{topic}\"");
    // All topics are asked for: asking for one by name could create it.
    let metadata = consumer.fetch_metadata(None, within).map_err(|error| failed(doing(), error))?;
    let partitions: Vec<i32> = metadata
        .topics()
        .iter()
        .filter(|known| known.name() == topic)
        .flat_map(|known| known.partitions().iter().map(rdkafka::metadata::MetadataPartition::id))
        .collect();
    if partitions.is_empty() {
        return Err(failed(doing(), "there is no such topic"));
    }
    Ok(partitions)
}

/// Finds where each partition's tail begins and ends, and begins to read. Returns the ends of those that have one.
fn assign(
    consumer: &BaseConsumer<Reading>,
    topic: &str,
    since: Millis,
    until: Instant,
) -> Result<BTreeMap<i32, i64>, Error> {
    let left = || until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let found = |error: KafkaError| failed(format!("find the tail of topic \"{topic}\""), error);
    let partitions = partitions(consumer, topic, left())?;
    let mut times = TopicPartitionList::new();
    let time = Offset::Offset(i64::try_from(since).unwrap_or(i64::MAX));
    for &partition in &partitions {
        times.add_partition_offset(topic, partition, time).map_err(found)?;
    }
    let begins = consumer.offsets_for_times(times, left()).map_err(found)?;
    let mut open = BTreeMap::new();
    let mut assignment = TopicPartitionList::new();
    for begin in begins.elements_for_topic(topic) {
        begin.error().map_err(found)?;
        // `End` says that nothing is as young as that.
        let Offset::Offset(offset) = begin.offset() else { continue };
        let (_, end) = consumer.fetch_watermarks(topic, begin.partition(), left()).map_err(found)?;
        if offset < end {
            assignment.add_partition_offset(topic, begin.partition(), Offset::Offset(offset)).map_err(found)?;
            open.insert(begin.partition(), end);
        }
    }
    if !open.is_empty() {
        consumer.assign(&assignment).map_err(found)?;
    }
    Ok(open)
}
