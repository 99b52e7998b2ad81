//! The poller: one thread that serves Kafka's client, and waits for the consumer no longer than [`ROOM`].

mod start;

use super::context::{Change, Watch};
use super::{Assigned, Command, Incoming, Lasts, Positions, Revoked, Shared, SourceEvent, client_config, decode};
use crate::{Error, Metrics};
use confab_config::{ConsumerConfig, KafkaConfig};
use confab_protocol::EventId;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc as blocking};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

/// How long a poll may wait for something to happen, and how long when we wait for an answer ourselves.
const IDLE: Duration = Duration::from_millis(100);
const BUSY: Duration = Duration::from_millis(5);
/// How long an event waits for room before fetching is paused.
const ROOM: Duration = Duration::from_millis(500);
/// The largest chunk of records in one event.
const CHUNK_RECORDS: usize = 500;
const CHUNK_BYTES: usize = 1 << 20;
/// How often the group is told where the store is.
const SHOW: Duration = Duration::from_secs(5);
/// How long one question to the brokers may take.
const ASK: Duration = Duration::from_secs(5);
/// How long an acknowledgement of a revocation may take; then the fence alone must do.
const ACKNOWLEDGE: Duration = Duration::from_secs(30);
/// How long to stay out of the group when asked to join again, so that two rivals do not spin.
const STAY_OUT: Duration = Duration::from_secs(1);

/// Where the assignment stands.
enum Phase {
    /// No partitions are ours.
    Idle,
    /// Partitions are ours, and their positions are awaited.
    Starting(Vec<i32>, oneshot::Receiver<(Positions, Lasts)>),
    /// Records are read.
    Running(Vec<i32>),
    /// The partitions are taken, and the acknowledgement is awaited.
    Stopping(oneshot::Receiver<()>, Instant),
}

/// The thread's state.
pub struct Poller {
    consumer: BaseConsumer<Watch>,
    topic: String,
    chunk_records: usize,
    runtime: Handle,
    events: mpsc::Sender<SourceEvent>,
    commands: blocking::Receiver<Command>,
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    /// Events that found no room yet. While there are some nothing is read or fetching is paused, so it holds a chunk or two.
    outbox: VecDeque<SourceEvent>,
    phase: Phase,
    revoked: CancellationToken,
    /// The records that were stored last, until they are seen where they were: by partition, offset and event.
    stored_last: BTreeMap<i32, (i64, EventId)>,
    paused: bool,
    rejoin_at: Option<Instant>,
    shown_at: Instant,
}

impl Poller {
    /// Builds the client and subscribes. Needs a runtime.
    pub fn new(
        kafka: &KafkaConfig,
        consumer: &ConsumerConfig,
        events: mpsc::Sender<SourceEvent>,
        commands: blocking::Receiver<Command>,
        shared: Arc<Shared>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Error> {
        let unusable = |error: KafkaError| Error::Settings(format!("`journal.kafka` cannot be used: {error}"));
        let chunk_records = consumer.batch_records.clamp(1, CHUNK_RECORDS);
        let topic = kafka.events_topic();
        let consumer = configure(kafka, consumer)?;
        let consumer = consumer.create_with_context(Watch::default()).map_err(unusable)?;
        let poller = Self {
            consumer,
            topic,
            chunk_records,
            runtime: Handle::current(),
            events,
            commands,
            shared,
            metrics,
            outbox: VecDeque::new(),
            phase: Phase::Idle,
            revoked: CancellationToken::new(),
            stored_last: BTreeMap::new(),
            paused: false,
            rejoin_at: None,
            shown_at: Instant::now(),
        };
        poller.consumer.subscribe(&[&poller.topic]).map_err(unusable)?;
        Ok(poller)
    }

    /// Serves until told to close, or nobody listens any more; then leaves the group.
    pub fn run(mut self) {
        while self.obey() && !self.events.is_closed() {
            self.hear_changes();
            self.go_on();
            self.hand_over();
            self.breathe();
            self.read();
            self.show();
        }
        self.revoked.cancel();
        self.consumer.context().closing.store(true, Ordering::Release);
        // Changes that wait for an answer get it now; dropping the client then leaves the group.
        if let Err(error) = self.consumer.unassign() {
            debug!(%error, "could not give the partitions up");
        }
        self.forget();
    }

    /// Takes commands. False: close.
    fn obey(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Rejoin) => {
                    self.consumer.unsubscribe();
                    self.rejoin_at = Some(Instant::now() + STAY_OUT);
                }
                Ok(Command::Close) | Err(blocking::TryRecvError::Disconnected) => return false,
                Err(blocking::TryRecvError::Empty) => break,
            }
        }
        if self.rejoin_at.is_some_and(|at| Instant::now() >= at) && matches!(self.phase, Phase::Idle) {
            self.rejoin_at = None;
            if let Err(error) = self.consumer.subscribe(&[&self.topic]) {
                self.fail(format!("could not join the group again: {error}"));
            }
        }
        true
    }

    /// Passes changes of the assignment on.
    fn hear_changes(&mut self) {
        loop {
            let Some(change) = self.consumer.context().changes.lock().pop_front() else { return };
            match change {
                Change::Assign(partitions) => {
                    let (begin, positions) = oneshot::channel();
                    self.revoked = CancellationToken::new();
                    let event = Assigned { partitions: partitions.clone(), revoked: self.revoked.clone(), begin };
                    self.outbox.push_back(SourceEvent::Assigned(event));
                    self.phase = Phase::Starting(partitions, positions);
                }
                Change::Revoke => {
                    self.revoked.cancel();
                    // Nobody will store them: the next owner reads them again.
                    self.outbox.retain(|event| !matches!(event, SourceEvent::Records(_)));
                    let (acknowledge, acknowledged) = oneshot::channel();
                    self.outbox.push_back(SourceEvent::Revoked(Revoked { acknowledge }));
                    self.phase = Phase::Stopping(acknowledged, Instant::now());
                }
            }
        }
    }

    /// Goes on where an answer has come.
    fn go_on(&mut self) {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Starting(partitions, mut positions) => match positions.try_recv() {
                Ok((positions, lasts)) => self.begin(partitions, &positions, &lasts),
                // Dropped without an answer: whoever listens is giving up, and a revocation or the end follows.
                Err(_) => self.phase = Phase::Starting(partitions, positions),
            },
            Phase::Stopping(mut acknowledged, since) => match acknowledged.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) if since.elapsed() < ACKNOWLEDGE => {
                    self.phase = Phase::Stopping(acknowledged, since);
                }
                Err(oneshot::error::TryRecvError::Empty) => {
                    warn!("a revocation was not acknowledged in time; the fence keeps what follows safe");
                    self.end();
                }
                _ => self.end(),
            },
            phase => self.phase = phase,
        }
    }

    fn begin(&mut self, partitions: Vec<i32>, positions: &Positions, lasts: &Lasts) {
        let mut assignment = TopicPartitionList::new();
        self.stored_last.clear();
        for &partition in &partitions {
            let last = lasts.get(&partition).copied();
            let (offset, stored) = self.start_of(partition, positions.get(&partition).copied().flatten(), last);
            self.stored_last.extend(stored.map(|stored| (partition, stored)));
            if let Err(error) = assignment.add_partition_offset(&self.topic, partition, offset) {
                return self.fail(format!("could not begin at {offset:?}: {error}"));
            }
        }
        let assigned = self.consumer.assign(&assignment).and_then(|()| self.consumer.resume(&assignment));
        if let Err(error) = assigned {
            return self.fail(format!("could not take an assignment: {error}"));
        }
        info!(?partitions, "reading");
        self.paused = false;
        *self.shared.trouble.lock() = None;
        *self.shared.positions.lock() =
            partitions.iter().map(|partition| (*partition, positions.get(partition).copied().flatten())).collect();
        self.metrics.partitions.set(i64::try_from(partitions.len()).unwrap_or(i64::MAX));
        self.phase = Phase::Running(partitions);
    }

    fn end(&mut self) {
        if let Err(error) = self.consumer.unassign() {
            self.fail(format!("could not give the partitions up: {error}"));
        }
        info!("the partitions were handed on");
        *self.shared.trouble.lock() = Some("no partitions are assigned at the moment".into());
        self.forget();
        self.phase = Phase::Idle;
    }

    fn forget(&self) {
        self.shared.positions.lock().clear();
        self.metrics.partitions.set(0);
        self.metrics.position.clear();
        self.metrics.lag.clear();
    }

    /// Hands events over as far as there is room, and waits a while for it: a store that is only busy soon makes some.
    fn hand_over(&mut self) {
        // Paused already: the store is away, and polling must go on.
        let patience = if self.paused { Duration::ZERO } else { ROOM };
        while let Some(event) = self.outbox.pop_front() {
            let sent = self.runtime.block_on(self.events.send_timeout(event, patience));
            if let Err(SendTimeoutError::Timeout(event)) = sent {
                self.outbox.push_front(event);
                return;
            }
        }
    }

    /// Pauses fetching while no room can be had, and resumes it afterwards. Pausing is dear: Kafka's client throws away
    /// what it has fetched, and fetches it again.
    fn breathe(&mut self) {
        let Phase::Running(partitions) = &self.phase else { return };
        let full = !self.outbox.is_empty();
        if full == self.paused {
            return;
        }
        let list = self.list(partitions);
        let changed = if full { self.consumer.pause(&list) } else { self.consumer.resume(&list) };
        match changed {
            Ok(()) => self.paused = full,
            Err(error) => warn!(%error, full, "could not pause or resume"),
        }
    }

    /// Reads what is there, at most a chunk.
    fn read(&mut self) {
        let busy = !self.outbox.is_empty() || matches!(self.phase, Phase::Starting(..) | Phase::Stopping(..));
        let mut wait = if busy { BUSY } else { IDLE };
        let (mut chunk, mut bytes): (Vec<Incoming>, usize) = (Vec::new(), 0);
        while chunk.len() < self.chunk_records && bytes < CHUNK_BYTES {
            let incoming = match self.consumer.poll(wait) {
                None => break,
                Some(message) => message.map(|message| decode::incoming(&message)),
            };
            match incoming {
                Ok(incoming) => {
                    if self.is_to_be_stored(&incoming) {
                        bytes += incoming.origin.bytes();
                        chunk.push(incoming);
                    }
                }
                Err(error) => {
                    self.trouble(&error);
                    break;
                }
            }
            wait = Duration::ZERO;
        }
        // Only a running assignment has readers; anything else was fetched for one that ended.
        if !chunk.is_empty() && matches!(self.phase, Phase::Running(_)) {
            self.outbox.push_back(SourceEvent::Records(chunk));
            self.hand_over();
        }
    }

    fn trouble(&mut self, error: &KafkaError) {
        if let KafkaError::MessageConsumptionFatal(_) = error {
            return self.fail(error.to_string());
        }
        let news = !matches!(self.phase, Phase::Running(_));
        if news && self.shared.trouble.lock().replace(error.to_string()).is_none_or(|old| old != error.to_string()) {
            warn!(%error, topic = self.topic, "kafka client error");
        } else {
            debug!(%error, "kafka client error");
        }
    }

    fn fail(&mut self, reason: String) {
        error!(reason, "the source failed for good");
        *self.shared.trouble.lock() = Some(reason.clone());
        self.outbox.push_back(SourceEvent::Failed(reason));
    }

    /// Tells the group where the store is: nobody reads from there, but Kafka's own tools show it.
    fn show(&mut self) {
        if !matches!(self.phase, Phase::Running(_)) || self.shown_at.elapsed() < SHOW {
            return;
        }
        self.shown_at = Instant::now();
        if let Err(error) = self.commit() {
            debug!(%error, "could not show the positions to the group");
        }
    }

    fn commit(&self) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        for (&partition, &next) in &*self.shared.positions.lock() {
            if let Some(next) = next {
                list.add_partition_offset(&self.topic, partition, Offset::Offset(next))?;
            }
        }
        if list.count() == 0 { Ok(()) } else { self.consumer.commit(&list, CommitMode::Async) }
    }

    fn list(&self, partitions: &[i32]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for &partition in partitions {
            list.add_partition(&self.topic, partition);
        }
        list
    }
}

fn configure(kafka: &KafkaConfig, consumer: &ConsumerConfig) -> Result<rdkafka::ClientConfig, Error> {
    let defaults = [
        // A killed consumer's partitions go to another after this time.
        ("session.timeout.ms", "10000"),
        ("heartbeat.interval.ms", "1000"),
        ("queued.max.messages.kbytes", "16384"),
        ("fetch.queue.backoff.ms", "50"),
        ("topic.metadata.refresh.interval.ms", "30000"),
    ];
    let mut client = client_config(kafka, &defaults)?;
    client
        .set("group.id", &consumer.group)
        .set("partition.assignment.strategy", "range")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("allow.auto.create.topics", "false");
    Ok(client)
}
