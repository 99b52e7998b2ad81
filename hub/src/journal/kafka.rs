//! The journal in Kafka: an idempotent producer, `acks=all`, one topic of events keyed by room.
//!
//! The promise is the delivery report's: `Ok` means every in-sync replica has the record. Records of one room go to
//! one partition in the order in which they were appended here; another hub's may come between.

mod context;
pub mod dead_letters;
mod health;
mod message_size;
mod tail;
pub mod topics;

pub use tail::Tail;

use super::{Counters, Error};
use arc_swap::ArcSwap;
use confab_config::{KafkaConfig, MESSAGE_OVERHEAD};
use confab_protocol::record::RECORD_VERSION;
use confab_protocol::{EventId, Record, Room};
use context::{Landed, Producing, Waiting};
use futures_util::future::try_join_all;
use health::PROBE_INTERVAL;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

/// How long one question to the brokers may stay unanswered before it is asked anew. Health does not wait for it.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a broker may take to tell where a topic ends.
const END_TIMEOUT: Duration = Duration::from_secs(1);
/// By how many numbers the topic of generations is brought up at most: more is a mistake.
const GENERATIONS_ADDED_MAX: u64 = 1_000_000;
/// How many of them are on their way at once.
const GENERATIONS_AT_ONCE: u64 = 1000;

/// The journal in Kafka. Cheap to clone; the last clone closes the producer.
#[derive(Clone)]
pub struct Kafka {
    inner: Arc<Inner>,
}

struct Inner {
    config: KafkaConfig,
    events: String,
    client: ClientConfig,
    producer: ArcSwap<ThreadedProducer<Producing>>,
    counters: Arc<Counters>,
    health: Arc<health::Health>,
    /// Whether the events topic has been seen. Until then it is never asked for by name, since that could create it
    /// with the brokers' defaults instead of ours.
    topic_seen: AtomicBool,
    /// The largest message that the topic of events takes, as far as is known.
    message_bytes: AtomicUsize,
    /// Wakes the probe; it ends when this is dropped.
    wake: mpsc::SyncSender<()>,
}

impl Kafka {
    /// Builds the producer and begins to watch the brokers. It does not wait for them: see [`Self::ready`].
    ///
    /// # Errors
    /// [`Error::Settings`] for options that librdkafka does not know, or that would take a promise away.
    pub fn connect(config: KafkaConfig) -> Result<Self, Error> {
        let client = producer_config(&config)?;
        let counters = Arc::default();
        let health = Arc::default();
        let context = Producing { counters: Arc::clone(&counters), health: Arc::clone(&health) };
        let producer = client.create_with_context(context).map_err(|error| settings(&error))?;
        let (wake, woken) = mpsc::sync_channel(1);
        let inner = Arc::new(Inner {
            events: config.events_topic(),
            message_bytes: AtomicUsize::new(config.message_bytes()),
            config,
            client,
            producer: ArcSwap::from_pointee(producer),
            counters,
            health,
            topic_seen: AtomicBool::new(false),
            wake,
        });
        let probed = Arc::downgrade(&inner);
        std::thread::Builder::new()
            .name("journal-probe".into())
            .spawn(move || probe(&probed, &woken))
            .map_err(|error| Error::Failed { doing: "start the journal's probe".into(), source: error.into() })?;
        Ok(Self { inner })
    }

    /// Waits until the journal can be written, at most for `deadline`; the error says what is missing.
    pub async fn ready(&self, deadline: Duration) -> Result<(), Error> {
        let until = Instant::now() + deadline;
        while let Some(trouble) = self.trouble() {
            if Instant::now() >= until {
                return Err(Error::Failed {
                    doing: format!(
                        "write to topic \"{}\" at {}",
                        self.inner.events,
                        self.inner.config.brokers.join(", ")
                    ),
                    source: trouble.into(),
                });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The largest record that the topic of events takes, in bytes of its JSON, as far as is known. A larger one must not be
    /// placed: it would be heard, and never be written down.
    pub fn record_bytes(&self) -> usize {
        self.inner.message_bytes.load(Ordering::Relaxed).saturating_sub(MESSAGE_OVERHEAD)
    }

    /// Asks the brokers how large a message the topic takes, until they say; waits for that at most for `patience`, and lets it
    /// go on beside the hub's work.
    pub async fn learn_limits(&self, patience: Duration) {
        let asking = tokio::spawn(message_size::learn(Arc::downgrade(&self.inner)));
        drop(tokio::time::timeout(patience, asking).await);
    }

    /// Writes one record and waits for its delivery report.
    ///
    /// A full queue is [`Error::Refused`] at once; a record that could not be delivered in `delivery_timeout` is
    /// [`Error::Unknown`]. Dropping the future does not take the record back: it is delivered and counted all the same.
    pub async fn append(&self, record: &Record) -> Result<(), Error> {
        self.append_text(&record.event.room, record.event.id, record.event.kind.as_str(), record.to_json()).await
    }

    /// The same for the text of a record, which need not be one that this program can read.
    pub async fn append_text(&self, room: &Room, id: EventId, kind: &str, text: String) -> Result<(), Error> {
        let id = id.to_string();
        let version = RECORD_VERSION.to_string();
        let headers = OwnedHeaders::new_with_capacity(3)
            .insert(Header { key: "id", value: Some(&id) })
            .insert(Header { key: "kind", value: Some(kind) })
            .insert(Header { key: "v", value: Some(&version) });
        let to = BaseRecord::with_opaque_to(&self.inner.events, ()).key(room.as_str()).payload(&text);
        self.inner.produce(to.headers(headers)).await.map(drop)
    }

    /// Opens a generation above that: one record in the one-partition topic, whose offset (plus one, so that 0 is never a
    /// generation) is its number. Where the topic is too short, as one that was made anew is, records are added before it.
    /// `who` is for people who read the topic. After an error numbers may be lost; that is no harm, as generations only rise.
    pub async fn open_generation(&self, who: &str, above: u64) -> Result<u64, Error> {
        let mut number = self.next_generation(who).await?;
        if number > above {
            return Ok(number);
        }
        let missing = above - number + 1;
        let topic = self.inner.config.generations_topic();
        if missing > GENERATIONS_ADDED_MAX {
            let why = format!("generation {above} is known, and the topic ends at {number}");
            return Err(failed(format!("bring topic \"{topic}\" up to what is known"), why));
        }
        warn!(topic, found = number, above, "the topic of generations is behind what is known: bringing it up");
        while number <= above {
            let some = (above - number + 1).min(GENERATIONS_AT_ONCE);
            let numbers = try_join_all((0..some).map(|_| self.next_generation(who))).await?;
            number = numbers.into_iter().max().unwrap_or(number);
        }
        Ok(number)
    }

    /// Adds a record to the topic of generations, and gives its number.
    async fn next_generation(&self, who: &str) -> Result<u64, Error> {
        let topic = self.inner.config.generations_topic();
        let value = serde_json::json!({ "v": 1, "opened_by": who }).to_string();
        let to = BaseRecord::with_opaque_to(&topic, ()).partition(0).key(who).payload(&value);
        let (_, offset) = self.inner.produce(to).await?;
        u64::try_from(offset)
            .map(|offset| offset + 1)
            .map_err(|_| Error::Unknown(format!("topic \"{topic}\" gave the offset {offset}")))
    }

    /// The number of the newest generation that was ever opened; 0 before the first. Takes at most about a second.
    pub async fn newest_generation(&self) -> Result<u64, Error> {
        let inner = Arc::clone(&self.inner);
        let topic = self.inner.config.generations_topic();
        let asked = tokio::task::spawn_blocking(move || {
            let found = inner.producer.load().client().fetch_watermarks(&topic, 0, END_TIMEOUT);
            found.map_err(|error| failed(format!("find the end of topic \"{topic}\""), error))
        });
        let (_, end) = asked.await.unwrap_or_else(|error| Err(failed("find the newest generation", error)))?;
        Ok(u64::try_from(end).unwrap_or_default())
    }

    /// Reads what was journaled since a time (milliseconds since 1970), partition by partition in order, up to the
    /// topic's end as it was when the call began. `each` is called on a thread that may block.
    ///
    /// Records that cannot be read are skipped, counted and logged. The whole takes at most `deadline`.
    pub async fn tail(
        &self,
        since: confab_protocol::Millis,
        deadline: Duration,
        each: impl FnMut(Record) + Send + 'static,
    ) -> Result<Tail, Error> {
        let config = self.inner.config.clone();
        let read = tokio::task::spawn_blocking(move || tail::read(&config, since, deadline, each));
        read.await.unwrap_or_else(|error| Err(failed("read the journal's tail", error)))
    }

    /// Where each partition of the topic of events that holds anything ends now: the offset after its last record. Takes
    /// at most `deadline`.
    pub async fn ends(&self, deadline: Duration) -> Result<BTreeMap<i32, i64>, Error> {
        let config = self.inner.config.clone();
        let asked = tokio::task::spawn_blocking(move || tail::ends(&config, deadline));
        asked.await.unwrap_or_else(|error| Err(failed("find the journal's ends", error)))
    }

    /// Waits until every record on its way has its answer, at most for `deadline`. Part of a drain.
    pub async fn flush(&self, deadline: Duration) -> Result<(), Error> {
        let producer = self.inner.producer.load_full();
        let flushed = tokio::task::spawn_blocking(move || producer.flush(deadline)).await;
        match flushed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(failed("flush the journal", error)),
            Err(error) => Err(failed("flush the journal", error)),
        }
    }

    /// Whether a record that is appended now can be expected to be delivered.
    pub fn healthy(&self) -> bool {
        self.trouble().is_none()
    }

    /// What is wrong with the journal at the moment, in plain words.
    pub fn trouble(&self) -> Option<String> {
        self.inner.health.trouble()
    }

    /// What has become of appends since the start.
    pub fn counters(&self) -> &Counters {
        &self.inner.counters
    }
}

impl Inner {
    async fn produce(&self, record: BaseRecord<'_, str, String, ()>) -> Result<Landed, Error> {
        let (answer, answered) = oneshot::channel();
        let number = self.health.sent();
        self.counters.started(1);
        let BaseRecord { topic, partition, payload, key, timestamp, headers, delivery_opaque: () } = record;
        let delivery_opaque = Box::new(Waiting { number, answer });
        let record = BaseRecord { topic, partition, payload, key, timestamp, headers, delivery_opaque };
        // The guard must not be held across the wait: a producer that is replaced meanwhile must be free to go.
        let enqueued = self.producer.load().send(record).map_err(|(error, _)| error);
        if let Err(error) = enqueued {
            self.health.arrived(number);
            let answer = Err(context::not_enqueued(&error));
            self.counters.answered(1, &answer);
            let _ = self.wake.try_send(());
            return answer;
        }
        match answered.await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Unknown("the producer was closed".into())),
        }
    }

    /// Asks the brokers for the events topic and judges their answer.
    fn ask(&self) {
        let topic = self.topic_seen.load(Ordering::Relaxed).then_some(self.events.as_str());
        match self.producer.load_full().client().fetch_metadata(topic, PROBE_TIMEOUT) {
            Ok(metadata) => match self.judge(&metadata) {
                Ok(()) => {
                    self.topic_seen.store(true, Ordering::Relaxed);
                    if self.health.good() {
                        info!(topic = self.events, "the journal is healthy");
                    }
                }
                Err(trouble) => self.complain(trouble),
            },
            // What librdkafka said of the connection is a better reason than "timed out".
            Err(error) if self.health.trouble().is_none() => self.complain(error.to_string()),
            Err(_) => {}
        }
    }

    fn complain(&self, trouble: String) {
        if self.health.bad(trouble.clone()) {
            warn!(topic = self.events, trouble, "the journal is unhealthy");
        }
    }

    fn judge(&self, metadata: &Metadata) -> Result<(), String> {
        let events = &self.events;
        let topic = metadata.topics().iter().find(|topic| topic.name() == events && !topic.partitions().is_empty());
        let Some(topic) = topic else {
            return Err(format!("topic \"{events}\" does not exist: create it with `confab migrate`"));
        };
        for partition in topic.partitions() {
            if partition.leader() < 0 {
                return Err(format!("partition {} of topic \"{events}\" has no leader", partition.id()));
            }
            let in_sync = partition.isr().len();
            let needed = self.config.min_insync;
            if i32::try_from(in_sync).is_ok_and(|in_sync| in_sync < needed) {
                return Err(format!(
                    "partition {} of topic \"{events}\" has {in_sync} in-sync replicas and needs {needed}",
                    partition.id()
                ));
            }
        }
        Ok(())
    }

    /// An idempotent producer that failed for good (its sequence is broken) takes nothing any more: make another.
    /// What it still held ends as unknown, and is appended again by whoever waits for it.
    fn replace_if_fatal(&self) {
        let old = self.producer.load_full();
        let Some((code, reason)) = old.client().fatal_error() else { return };
        error!(%code, reason, "the Kafka producer failed for good and is made anew");
        let context = Producing { counters: Arc::clone(&self.counters), health: Arc::clone(&self.health) };
        match self.client.create_with_context(context) {
            Ok(producer) => {
                self.producer.store(Arc::new(producer));
                self.counters.recreated.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => error!(%error, "could not make another Kafka producer"),
        }
    }
}

/// The probe's thread: asks until the journal is dropped.
fn probe(journal: &Weak<Inner>, woken: &mpsc::Receiver<()>) {
    loop {
        let Some(inner) = journal.upgrade() else { return };
        inner.replace_if_fatal();
        inner.ask();
        drop(inner);
        if let Err(mpsc::RecvTimeoutError::Disconnected) = woken.recv_timeout(PROBE_INTERVAL) {
            return;
        }
    }
}

/// Ours that may be overridden, then the operator's, then those that carry promises.
fn producer_config(config: &KafkaConfig) -> Result<ClientConfig, Error> {
    let defaults = [
        // The same partition for the same room as the Java clients would choose.
        ("partitioner", "murmur2_random"),
        // What may wait for the brokers; past it, or past 100 000 records, an append is refused.
        ("queue.buffering.max.kbytes", "65536"),
    ];
    let mut client = client_config(config, &defaults)?;
    client
        .set("acks", "all")
        .set("enable.idempotence", "true")
        // A topic that was deleted must not come back with the brokers' defaults and be taken for healthy.
        .set("allow.auto.create.topics", "false")
        .set("delivery.timeout.ms", config.delivery_timeout.as_millis().to_string())
        .set("linger.ms", config.linger.as_millis().to_string());
    Ok(client)
}

/// A client of ours, with the defaults of this one.
fn client_config(config: &KafkaConfig, defaults: &[(&str, &str)]) -> Result<ClientConfig, Error> {
    Ok(config.client("confab-hub", defaults).map_err(Error::Settings)?.into_iter().collect())
}

fn settings(error: &KafkaError) -> Error {
    Error::Settings(format!("`journal.kafka` cannot be used: {error}"))
}

fn failed(doing: impl Into<String>, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Failed { doing: doing.into(), source: error.into() }
}
