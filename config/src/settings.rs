//! The settings themselves. `Default` is the documentation: hub.toml prints it, and a test compares the two.

use crate::human::{Size, duration};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything hub.toml can say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where clients connect: WebSocket, and the page at `/`.
    pub listen: SocketAddr,
    /// Where operators connect: `/metrics`, `/healthz`, `/readyz` and the admin API. Keep it off the public network.
    pub admin: SocketAddr,
    /// The embedded hub's files (`confab.db`). The cluster profile writes nothing here.
    pub data: PathBuf,
    /// How long a drain may take before the process ends all the same.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
    /// Who may connect.
    pub auth: Auth,
    /// What one session may do, and how much of the hub it may take.
    pub limits: Limits,
    /// Redis. Together with `journal` and `store`: the cluster profile.
    pub timeline: TimelineConfig,
    /// Kafka. Together with `timeline` and `store`: the cluster profile.
    pub journal: JournalConfig,
    /// PostgreSQL. Together with `timeline` and `journal`: the cluster profile.
    pub store: StoreConfig,
    /// The consumer's own settings.
    pub consumer: ConsumerConfig,
    /// What rooms are; several may match a name, the later wins, key by key.
    pub room: Vec<RoomRule>,
    /// What plugins are and may do.
    pub plugin: BTreeMap<String, PluginConfig>,
    /// Who is judged by what: all matching chains apply, in file order.
    pub chain: Vec<ChainRule>,
    /// Expected verdicts, run by `confab chain test`.
    pub test: Vec<ChainTest>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 8000).into(),
            admin: ([127, 0, 0, 1], 9000).into(),
            data: "confab-data".into(),
            drain_timeout: Duration::from_secs(30),
            auth: Auth::default(),
            limits: Limits::default(),
            timeline: TimelineConfig::default(),
            journal: JournalConfig::default(),
            store: StoreConfig::default(),
            consumer: ConsumerConfig::default(),
            room: Vec::new(),
            plugin: BTreeMap::new(),
            chain: Vec::new(),
            test: Vec::new(),
        }
    }
}

/// Who may connect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// The secret of HS256 tokens. Prefer `hmac_secret_file` or the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hmac_secret: Option<String>,
    /// A file that holds the secret of HS256 tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hmac_secret_file: Option<PathBuf>,
    /// Development only: anyone may connect without a token, and say who they are in `connect.data.user`.
    pub insecure: bool,
    /// The exact `Origin`s of pages that may connect. Empty: only pages served by this hub itself.
    pub allowed_origins: Vec<String>,
}

/// What one session may do, and how much of the hub it may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The most sessions of this hub at once.
    pub sessions: usize,
    /// The largest frame from a client.
    pub frame: Size,
    /// The largest body of an event.
    pub body: Size,
    /// The deepest nesting of a body's JSON.
    pub json_depth: usize,
    /// The longest room name, in bytes (at most 255).
    pub room_name_bytes: usize,
    /// The most rooms one session may be in.
    pub rooms_per_session: usize,
    /// The most commands of one session being worked on at once; past it the hub stops reading from it.
    pub commands_in_flight: usize,
    /// What may wait for a session that does not read; past it the session is closed as slow (3008) and may recover.
    pub outbox: Size,
    /// How long a socket may stay open without `connect`.
    #[serde(with = "duration")]
    pub stale_timeout: Duration,
    /// How often the hub pings a session.
    #[serde(with = "duration")]
    pub ping_interval: Duration,
    /// How long after a ping the pong may take.
    #[serde(with = "duration")]
    pub pong_timeout: Duration,
    /// How long a send may take before its sender is told that the outcome is unknown.
    #[serde(with = "duration")]
    pub send_deadline: Duration,
    /// How long a key is remembered: a retry inside it gets the first receipt.
    #[serde(with = "duration")]
    pub dedupe_window: Duration,
    /// The most events of one `history` page.
    pub history_page: usize,
    /// The most missed events given to a client that recovers; past it, it is told where the oldest is.
    pub recover_events: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 100_000,
            frame: Size::kib(64),
            body: Size::kib(32),
            json_depth: 32,
            room_name_bytes: 255,
            rooms_per_session: 128,
            commands_in_flight: 64,
            outbox: Size::mib(1),
            stale_timeout: Duration::from_secs(15),
            ping_interval: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(8),
            send_deadline: Duration::from_secs(10),
            dedupe_window: Duration::from_secs(600),
            history_page: 300,
            recover_events: 5000,
        }
    }
}

/// The order of rooms, and the relay between hubs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimelineConfig {
    /// Redis 7 or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<RedisConfig>,
}

/// The timeline in Redis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisConfig {
    /// `redis://` or, with TLS, `rediss://`; user and password of an ACL user go into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A file that holds the url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_file: Option<PathBuf>,
    /// A PEM file of the authorities to trust with `rediss://`, besides the well-known ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
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
            prefix: "confab".into(),
            buckets: 64,
            timeout: Duration::from_secs(2),
            hub_lease: Duration::from_secs(5),
        }
    }
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaConfig {
    /// Where to find the cluster: `host:port`, one or more.
    pub brokers: Vec<String>,
    /// What every topic's name begins with.
    pub topic_prefix: String,
    /// What happens to a send while the journal takes nothing: `refuse` it before anything is started.
    pub on_outage: OnOutage,
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

    /// The librdkafka properties that every client of ours needs: brokers, then the operator's options.
    pub fn properties(&self) -> Vec<(String, String)> {
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
}

/// The searchable past.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// PostgreSQL 14 or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres: Option<PostgresConfig>,
}

/// The store in PostgreSQL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// What the rooms whose names match are. `None` leaves it to the rules before, and at last to the default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoomRule {
    /// Patterns: `*` is one segment, `**` any depth, a leading `!` excludes. Segments are divided by `:`.
    pub r#match: Vec<String>,
    /// How much of the timeline is kept at hand for recovery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hot_window: Option<HotWindow>,
    /// Whether recovery goes on, past the hot window, in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deep_recovery: Option<bool>,
}

/// How much of a room's timeline is kept at hand. Default: 1000 events, 24 hours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HotWindow {
    /// The most events.
    pub events: usize,
    /// How long an idle room's window stays.
    #[serde(with = "duration")]
    pub age: Duration,
}

impl Default for HotWindow {
    fn default() -> Self {
        Self { events: 1000, age: Duration::from_secs(24 * 3600) }
    }
}

/// What a plugin is and may do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginConfig {
    /// The component file. Relative to hub.toml's folder.
    pub module: PathBuf,
    /// The BLAKE3 hash that the file must have, if pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
    /// The longest a call may take: wall clock, host calls included.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// The most memory one instance may have.
    pub memory: Size,
    /// The largest answer.
    pub output: Size,
    /// What happens to the event when the plugin fails.
    pub on_fault: OnFault,
    /// Whether anything may survive from one message to the next.
    pub isolation: Isolation,
    /// What it may do besides judging. Default: nothing.
    pub capabilities: Capabilities,
    /// Its own settings, handed to it as JSON when it is configured.
    pub settings: toml::Table,
}

impl Default for PluginConfig {
    fn default() -> Self {
        Self {
            module: PathBuf::new(),
            blake3: None,
            timeout: Duration::from_millis(5),
            memory: Size::mib(16),
            output: Size::kib(64),
            on_fault: OnFault::Reject,
            isolation: Isolation::Message,
            capabilities: Capabilities::default(),
            settings: toml::Table::new(),
        }
    }
}

/// What happens to an event whose plugin failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFault {
    /// The sender is refused.
    Reject,
    /// The event goes on as if the plugin had accepted it.
    Pass,
    /// The event waits for a moderator.
    Hold,
}

/// Whether anything of a plugin survives from one message to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// A fresh instance per message: nothing survives.
    Message,
    /// Instances are kept and used again; one that failed is thrown away.
    Worker,
}

/// What a plugin may do besides judging.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Capabilities {
    /// It may write to the hub's log.
    pub log: bool,
}

/// Who is judged by what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChainRule {
    /// Patterns of room names.
    pub rooms: Vec<String>,
    /// What is judged.
    pub on: Vec<JudgedKind>,
    /// The plugins, in order.
    pub plugins: Vec<ChainStep>,
}

impl Default for ChainRule {
    fn default() -> Self {
        Self { rooms: vec!["**".into()], on: vec![JudgedKind::Send, JudgedKind::Edit], plugins: Vec::new() }
    }
}

/// What a chain judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JudgedKind {
    /// A message.
    Send,
    /// An edit of a message.
    Edit,
    /// The deletion of a message.
    Delete,
    /// A reaction, or one taken back.
    React,
}

/// A plugin's place in a chain: its name, or its name with how it is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ChainStep {
    /// The plugin's name.
    Name(String),
    /// The plugin's name with how it is used.
    Use {
        /// The plugin's name.
        r#use: String,
        /// It judges, but nothing follows but a log line and a metric.
        #[serde(default)]
        shadow: bool,
    },
}

impl ChainStep {
    /// The plugin's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::Use { r#use: name, .. } => name,
        }
    }

    /// Whether it only watches.
    pub fn shadow(&self) -> bool {
        matches!(self, Self::Use { shadow: true, .. })
    }
}

/// An expected verdict.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChainTest {
    /// The room.
    pub room: String,
    /// What is sent: the `text` of a message's body.
    pub send: String,
    /// What should come of it.
    pub expect: Expect,
}

/// What should come of a test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// `accept`, `replace`, `reject` or `hold`.
    pub verdict: String,
    /// The `text` after all rewrites.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The refusal's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
}

/// Which of the two profiles the settings ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// One process, SQLite, no service.
    Embedded,
    /// Redis, Kafka and PostgreSQL; any number of hubs and consumers.
    Cluster,
}
