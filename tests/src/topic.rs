//! The journal from the outside: reads a topic of Kafka from its beginning to its end.

use crate::checker::Seen;
use anyhow::{Context, Result};
use confab_protocol::Record;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// Changes how large a message a topic takes; its other settings become those of the brokers.
pub async fn limit_messages(brokers: &str, topic: &str, bytes: usize) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let bytes = bytes.to_string();
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("max.message.bytes", &bytes);
    for changed in admin.alter_configs([&change], &AdminOptions::new()).await? {
        changed.map_err(|(_, code)| anyhow::anyhow!("the topic cannot be changed: {code}"))?;
    }
    Ok(())
}

/// Removes every record that is in the topic now, as brokers do that lost their disks or whose retention is too short.
pub async fn lose_records(brokers: &str, topic: &str) -> Result<()> {
    let client = ClientConfig::new().set("bootstrap.servers", brokers).clone();
    let admin: AdminClient<DefaultClientContext> = client.create()?;
    let mut before = TopicPartitionList::new();
    let partitions = admin.inner().fetch_metadata(Some(topic), Duration::from_secs(20))?;
    let found = partitions.topics().first().context("the topic is in its metadata")?;
    for partition in found.partitions() {
        before.add_partition_offset(topic, partition.id(), Offset::End)?;
    }
    for removed in admin.delete_records(&before, &AdminOptions::new()).await?.elements() {
        removed.error()?;
    }
    Ok(())
}

/// Gives a topic more partitions.
pub async fn add_partitions(brokers: &str, topic: &str, count: usize) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    for changed in admin.create_partitions(&[NewPartitions::new(topic, count)], &AdminOptions::new()).await? {
        changed.map_err(|(_, code)| anyhow::anyhow!("the topic gets no partitions: {code}"))?;
    }
    Ok(())
}

/// Deletes a topic.
pub async fn remove(brokers: &str, topic: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    for removed in admin.delete_topics(&[topic], &AdminOptions::new()).await? {
        removed.map_err(|(_, code)| anyhow::anyhow!("the topic is not deleted: {code}"))?;
    }
    Ok(())
}

/// The partitions of a topic that have records.
pub fn used_partitions(brokers: &str, topic: &str) -> Result<Vec<i32>> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", "confab-tests").create()?;
    let patience = Duration::from_secs(20);
    let metadata = consumer.fetch_metadata(Some(topic), patience)?;
    let found = metadata.topics().first().context("the topic is in its metadata")?;
    let mut used = Vec::new();
    for partition in found.partitions() {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), patience)?;
        if low < high {
            used.push(partition.id());
        }
    }
    Ok(used)
}

/// Every value of the topic, per partition in order.
pub fn values(brokers: &str, topic: &str) -> Result<Vec<Vec<u8>>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "confab-tests")
        .set("enable.auto.commit", "false")
        .create()?;
    let patience = Duration::from_secs(20);
    let metadata = consumer.fetch_metadata(Some(topic), patience)?;
    let found = metadata.topics().first().context("the topic is in its metadata")?;
    let mut assignment = TopicPartitionList::new();
    let mut left = 0;
    for partition in found.partitions() {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), patience)?;
        left += high - low;
        assignment.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let begun = Instant::now();
    let mut values = Vec::new();
    while (values.len() as i64) < left {
        anyhow::ensure!(begun.elapsed() < patience, "{} of {left} records read in {patience:?}", values.len());
        if let Some(message) = consumer.poll(Duration::from_millis(200)) {
            values.push(message?.payload().unwrap_or_default().to_vec());
        }
    }
    Ok(values)
}

/// Every record of the topic, as the checker sees it.
pub async fn records(brokers: &str, topic: &str) -> Result<Vec<Seen>> {
    let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
    let values = tokio::task::spawn_blocking(move || values(&brokers, &topic)).await??;
    values
        .iter()
        .map(|value| {
            let Record { event, cursor, .. } = Record::from_json(value)?;
            let [room, sender, key] =
                [event.room.as_str(), event.sender.user.as_str(), event.key.as_str()].map(str::to_owned);
            Ok(Seen { room, id: event.id.to_string(), cursor, sender, key })
        })
        .collect()
}
