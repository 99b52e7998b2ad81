//! Retention of the dead letters: removes from their topic what was put aside before a time.

use super::client_config;
use super::context::Logging;
use crate::Error;
use confab_config::KafkaConfig;
use confab_protocol::Millis;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::Duration;

/// How long one question to the brokers may take.
const ASK: Duration = Duration::from_secs(10);

/// Removes the dead letters that were written before this time; returns how many records left the topic.
///
/// # Errors
/// [`Error::Source`]: the brokers cannot be reached, have no such topic, or do not allow it.
pub async fn remove_before(kafka: &KafkaConfig, before: Millis) -> Result<u64, Error> {
    let failed = |error: KafkaError| Error::Source(format!("could not remove old dead letters: {error}"));
    let config = kafka.clone();
    let looked = tokio::task::spawn_blocking(move || look(&config, before));
    let (ends, count) = looked.await.map_err(|error| Error::Source(error.to_string()))??;
    if count == 0 {
        return Ok(0);
    }
    let admin: AdminClient<Logging> = client_config(kafka, &[])?.create_with_context(Logging).map_err(failed)?;
    let options = AdminOptions::new().request_timeout(Some(ASK)).operation_timeout(Some(ASK));
    for partition in admin.delete_records(&ends, &options).await.map_err(failed)?.elements() {
        partition.error().map_err(failed)?;
    }
    Ok(count)
}

/// Up to where each partition has only what is older, and how many records that are. Blocks.
fn look(kafka: &KafkaConfig, before: Millis) -> Result<(TopicPartitionList, u64), Error> {
    let topic = kafka.dead_letters_topic();
    let failed = |error: KafkaError| Error::Source(format!("could not look for old dead letters: {error}"));
    // librdkafka wants a name for anyone who reads; no group is joined.
    let mut client = client_config(kafka, &[])?;
    client.set("group.id", format!("{topic}-retention")).set("enable.auto.commit", "false");
    let reader: BaseConsumer<Logging> = client.create_with_context(Logging).map_err(failed)?;
    // All topics are asked for: asking for one by name could create it.
    let metadata = reader.fetch_metadata(None, ASK).map_err(failed)?;
    let partitions =
        metadata.topics().iter().filter(|found| found.name() == topic).flat_map(|found| found.partitions());
    let mut times = TopicPartitionList::new();
    for partition in partitions {
        let time = Offset::Offset(i64::try_from(before).unwrap_or(i64::MAX));
        times.add_partition_offset(&topic, partition.id(), time).map_err(failed)?;
    }
    let mut ends = TopicPartitionList::new();
    let mut count = 0;
    if times.count() == 0 {
        return Ok((ends, count));
    }
    for young in reader.offsets_for_times(times, ASK).map_err(failed)?.elements() {
        young.error().map_err(failed)?;
        let (low, high) = reader.fetch_watermarks(&topic, young.partition(), ASK).map_err(failed)?;
        // `End` says that nothing is as young as that.
        let end = if let Offset::Offset(offset) = young.offset() { offset } else { high };
        if end > low {
            ends.add_partition_offset(&topic, young.partition(), Offset::Offset(end)).map_err(failed)?;
            count += u64::try_from(end - low).unwrap_or(0);
        }
    }
    Ok((ends, count))
}
