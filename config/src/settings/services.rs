//! The three services of the cluster profile, and the consumer between two of them.

use crate::human::{Size, address, duration};
use crate::secret::{hide_options, hide_url};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The order of rooms, and the relay between hubs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimelineConfig {
    /// Redis 7 or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisConfig>,
}

/// The timeline in Redis.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisConfig {
    /// `redis://` or, with TLS, `rediss://`; user and password of an ACL user go into it. With sentinels, and
    /// in a cluster, its host and port are not used, the rest is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A file that holds the url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// A PEM file of the authorities to trust with `rediss://`, instead of the well-known ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Redis Sentinel, which says who the primary is.
    pub sentinel: SentinelConfig,
    /// Redis Cluster, whose primaries share the buckets.
    pub cluster: RedisClusterConfig,
    /// What every key and relay channel begins with.
    pub prefix: String,
    /// Into how many buckets rooms fall. Kept in Redis: a hub with another number does not start.
    pub buckets: u16,
    /// How long a command may take.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// How long a hub that is silent still counts as alive; then its pending events are journaled by another.
    #[serde(with = "duration")]
    pub hub_lease: Duration,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            url: None,
            url_file: None,
            ca_file: None,
            sentinel: SentinelConfig::default(),
            cluster: RedisClusterConfig::default(),
            prefix: "confab".into(),
            buckets: 64,
            timeout: Duration::from_secs(2),
            hub_lease: Duration::from_secs(5),
        }
    }
}

/// Redis Sentinel. Without nodes, the url names the one server.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SentinelConfig {
    /// The name under which the sentinels know the primary and its replicas.
    pub master: String,
    /// Where they are: `host:port`, or a `redis://` or `rediss://` url where they want a password or TLS.
    pub nodes: Vec<String>,
}

impl Default for SentinelConfig {
    fn default() -> Self {
        Self { master: "mymaster".into(), nodes: Vec::new() }
    }
}

impl fmt::Debug for SentinelConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<String> = self.nodes.iter().map(|node| hide_url(node)).collect();
        f.debug_struct("SentinelConfig").field("master", &self.master).field("nodes", &nodes).finish()
    }
}

/// Redis Cluster. Without nodes, it is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisClusterConfig {
    /// Where some of its nodes are: `host:port`. The others are found.
    pub nodes: Vec<String>,
}

/// The durable truth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalConfig {
    /// Apache Kafka.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaConfig>,
}

/// The journal in Kafka. Its topics are `<prefix>-events`, `<prefix>-dead-letters` and `<prefix>-generations`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaConfig {
    /// Where to find the cluster: `host:port`, one or more.
    pub brokers: Vec<String>,
    /// What every topic's name begins with.
    pub topic_prefix: String,
    /// What happens to a send while the journal takes nothing: `refuse` it before anything is started, or `buffer` it:
    /// listeners hear it, and its receipt waits until it is journaled.
    pub on_outage: OnOutage,
    /// The bounds of that buffer; past any of them sends are refused (203).
    pub outage_buffer: OutageBuffer,
    /// Partitions of a new events topic (`confab migrate`).
    pub partitions: i32,
    /// Replicas of new topics; 0 lets the brokers' default decide.
    pub replication: i32,
    /// `min.insync.replicas` of new topics; 0 lets the brokers' default decide.
    pub min_insync: i32,
    /// How long new events topics keep records; 0s keeps them for ever.
    #[serde(with = "duration")]
    pub retention: Duration,
    /// How long librdkafka tries to deliver a record (`delivery.timeout.ms`).
    #[serde(with = "duration")]
    pub delivery_timeout: Duration,
    /// How long a record may wait for company (`linger.ms`).
    #[serde(with = "duration")]
    pub linger: Duration,
    /// Any other librdkafka property, such as `security.protocol` or `ssl.ca.location`.
    pub options: BTreeMap<String, String>,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: Vec::new(),
            topic_prefix: "confab".into(),
            on_outage: OnOutage::Refuse,
            outage_buffer: OutageBuffer::default(),
            partitions: 12,
            replication: 0,
            min_insync: 0,
            retention: Duration::ZERO,
            delivery_timeout: Duration::from_secs(30),
            linger: Duration::from_millis(1),
            options: BTreeMap::new(),
        }
    }
}

// The three tables may hold passwords, so none of them is ever printed with them, not even by a log line's `{:?}`.

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("url", &self.url.as_deref().map(hide_url))
            .field("url_file", &self.url_file)
            .field("ca_file", &self.ca_file)
            .field("sentinel", &self.sentinel)
            .field("cluster", &self.cluster)
            .field("prefix", &self.prefix)
            .field("buckets", &self.buckets)
            .field("timeout", &self.timeout)
            .field("hub_lease", &self.hub_lease)
            .finish()
    }
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaConfig")
            .field("brokers", &self.brokers)
            .field("topic_prefix", &self.topic_prefix)
            .field("on_outage", &self.on_outage)
            .field("outage_buffer", &self.outage_buffer)
            .field("partitions", &self.partitions)
            .field("replication", &self.replication)
            .field("min_insync", &self.min_insync)
            .field("retention", &self.retention)
            .field("delivery_timeout", &self.delivery_timeout)
            .field("linger", &self.linger)
            .field("options", &hide_options(&self.options))
            .finish()
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("url", &self.url.as_deref().map(hide_url))
            .field("url_file", &self.url_file)
            .field("ca_file", &self.ca_file)
            .field("connections", &self.connections)
            .field("timeout", &self.timeout)
            .finish()
    }
}

impl KafkaConfig {
    /// The topic of events: key = room, value = the record as JSON.
    pub fn events_topic(&self) -> String {
        format!("{}-events", self.topic_prefix)
    }

    /// The topic of records that could not be stored, with the reason.
    pub fn dead_letters_topic(&self) -> String {
        format!("{}-dead-letters", self.topic_prefix)
    }

    /// The one-partition topic whose offsets number the generations.
    pub fn generations_topic(&self) -> String {
        format!("{}-generations", self.topic_prefix)
    }

    /// Where the brokers are, then the operator's options.
    pub(crate) fn properties(&self) -> Vec<(String, String)> {
        let mut properties = vec![("bootstrap.servers".to_owned(), self.brokers.join(","))];
        properties.extend(self.options.iter().map(|(key, value)| (key.clone(), value.clone())));
        properties
    }
}

/// What happens to a send while the journal takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnOutage {
    /// It is refused, as temporary, before anything is started.
    Refuse,
    /// Listeners hear it, and its receipt waits until it is journaled.
    Buffer,
}

/// How much may wait for a journal that takes nothing, in one hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutageBuffer {
    /// The most events.
    pub events: usize,
    /// The most bytes of their bodies.
    pub size: Size,
    /// How long the outage may last.
    #[serde(with = "duration")]
    pub time: Duration,
}

impl Default for OutageBuffer {
    fn default() -> Self {
        Self { events: 50_000, size: Size::mib(32), time: Duration::from_secs(300) }
    }
}

/// The searchable past.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// PostgreSQL 14 or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres: Option<PostgresConfig>,
    /// How long events are kept in rooms whose `[[room]]` rules do not say; zero: for ever.
    #[serde(with = "duration")]
    pub retention: Duration,
}

/// The store in PostgreSQL.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresConfig {
    /// `postgres://user:password@host/database`, with `?sslmode=verify-full` where the link needs TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A file that holds the url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// A PEM file of the authorities to trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The most connections of one process.
    pub connections: u32,
    /// How long a query may wait for a connection.
    #[serde(with = "duration")]
    pub timeout: Duration,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self { url: None, url_file: None, ca_file: None, connections: 10, timeout: Duration::from_secs(3) }
    }
}

/// The consumer's own settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsumerConfig {
    /// Kafka's consumer group.
    pub group: String,
    /// The most records of one transaction.
    pub batch_records: usize,
    /// How long a batch may wait to fill.
    #[serde(with = "duration")]
    pub batch_wait: Duration,
    /// Where the consumer serves `/metrics`, `/healthz` and `/readyz`.
    #[serde(with = "address")]
    pub admin: SocketAddr,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            group: "confab-consumer".into(),
            batch_records: 1000,
            batch_wait: Duration::from_millis(20),
            admin: ([127, 0, 0, 1], 9001).into(),
        }
    }
}
