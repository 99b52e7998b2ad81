//! Where records come from: Kafka, and nothing else in this crate knows it.
//!
//! The group only says who reads which partition. Where to read from is said by the store: at each assignment the
//! positions are asked for ([`SourceEvent::Assigned`]), and a revocation waits until nobody holds the partition's records
//! any more ([`SourceEvent::Revoked`]). The group's protocol is the eager one: every change takes all partitions away and
//! gives a new set, so there is one assignment at a time and nothing to merge.
//!
//! The client is polled on a thread of its own. Where the queue of events stays full, fetching is paused and polling goes on,
//! so that a store that is away for an hour costs neither memory nor membership; a store that is only busy is waited for.

mod context;
mod dead_letters;
mod decode;
mod lag;
pub mod old_letters;
mod poll;
mod salvage;

pub use dead_letters::DeadLetters;

use crate::{Error, Metrics};
use confab_config::{ConsumerConfig, KafkaConfig};
use confab_protocol::EventId;
use confab_store::Entry;
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use std::collections::BTreeMap;
use std::sync::{Arc, mpsc as blocking};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How many events may wait between the poller and the consumer. When it stays full, fetching is paused.
const EVENTS_MAX: usize = 4;

/// Where the store is in each partition that is ours: the offset of the next record, `None` where it has none yet.
pub type Positions = BTreeMap<i32, Option<i64>>;

/// The events of the records before the positions, where they are known.
pub type Lasts = BTreeMap<i32, EventId>;

/// One record as it was read.
#[derive(Debug)]
pub struct Incoming {
    /// What the store is given for it.
    pub entry: Entry,
    /// Where it lay, and as what.
    pub origin: Origin,
}

/// Where a record lay, and the bytes that it was: what a dead letter is made of.
#[derive(Debug)]
pub struct Origin {
    /// The partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its key as it came.
    pub key: Vec<u8>,
    /// Its value as it came.
    pub value: Vec<u8>,
    /// Whether it lies with the dead letters. What cannot be read is not stored before that.
    pub lettered: bool,
}

impl Origin {
    /// How much it weighs as it came, in bytes.
    pub fn bytes(&self) -> usize {
        self.key.len() + self.value.len()
    }
}

/// What the source tells, in order.
#[derive(Debug)]
pub enum SourceEvent {
    /// These partitions are ours. Nothing is read from them before the positions are given.
    Assigned(Assigned),
    /// Records, partition by partition in order.
    Records(Vec<Incoming>),
    /// All partitions are taken from us. Records that are not stored are to be dropped, another consumer will read them;
    /// the partitions are handed on when this is acknowledged.
    Revoked(Revoked),
    /// Kafka's client gave up for good. Nothing follows.
    Failed(String),
}

/// An assignment.
#[derive(Debug)]
pub struct Assigned {
    /// The partitions.
    pub partitions: Vec<i32>,
    /// Cancelled as soon as they are to be taken away again, ahead of the event that says so.
    pub revoked: CancellationToken,
    begin: oneshot::Sender<(Positions, Lasts)>,
}

impl Assigned {
    /// Begins to read at the store's positions; `None`: from the partition's beginning. Where another record lies before a
    /// position than the one that was stored last, the partition is another one, and is read from its beginning, too.
    pub fn begin(self, positions: Positions, lasts: Lasts) {
        // If the poller has gone, the end of the events says so.
        let _ = self.begin.send((positions, lasts));
    }
}

/// A revocation.
#[derive(Debug)]
pub struct Revoked {
    acknowledge: oneshot::Sender<()>,
}

impl Revoked {
    /// Says that no record of the old assignment will be stored any more.
    pub fn acknowledge(self) {
        let _ = self.acknowledge.send(());
    }
}

/// The way to the poller.
#[derive(Debug)]
pub struct Source {
    events: mpsc::Receiver<SourceEvent>,
    commands: blocking::Sender<Command>,
    shared: Arc<Shared>,
    poller: Option<JoinHandle<()>>,
    /// Gone, it ends the gauge.
    _measuring: blocking::Sender<()>,
}

/// What the poller may be told.
#[derive(Debug)]
enum Command {
    /// Leave the group and join it again.
    Rejoin,
    /// Leave the group and end.
    Close,
}

/// What both sides see.
#[derive(Debug, Default)]
struct Shared {
    /// The partitions that are read, and where the store is in them: for lag and for the group's own (informational)
    /// offsets.
    positions: Mutex<Positions>,
    /// What is wrong with the source at the moment.
    trouble: Mutex<Option<String>>,
}

impl Source {
    /// Joins the group and begins to listen.
    pub fn start(kafka: &KafkaConfig, consumer: &ConsumerConfig, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let (events_in, events) = mpsc::channel(EVENTS_MAX);
        let (commands, commanded) = blocking::channel();
        let shared = Arc::new(Shared::default());
        *shared.trouble.lock() = Some("no partitions have been assigned yet".into());
        let gauge = lag::Gauge::new(kafka, &shared, Arc::clone(&metrics))?;
        let poller = poll::Poller::new(kafka, consumer, events_in, commanded, Arc::clone(&shared), metrics)?;
        let (measuring, ended) = blocking::channel();
        spawn("lag", move || gauge.run(&ended))?;
        let poller = spawn("source", move || poller.run())?;
        Ok(Self { events, commands, shared, poller: Some(poller), _measuring: measuring })
    }

    /// The next event; `None` once the source is closed.
    pub async fn next(&mut self) -> Option<SourceEvent> {
        self.events.recv().await
    }

    /// Says where the store is now.
    pub fn stored(&self, partition: i32, next: i64) {
        self.shared.positions.lock().insert(partition, Some(next));
    }

    /// Gives all partitions up and asks for a new assignment.
    pub fn rejoin(&self) {
        let _ = self.commands.send(Command::Rejoin);
    }

    /// What is wrong with the source at the moment, in plain words.
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble.lock().clone()
    }

    /// Leaves the group; returns when the partitions are handed on.
    pub async fn close(mut self) {
        let _ = self.commands.send(Command::Close);
        // Revocations that come now need no answer: nobody stores anything any more.
        self.events.close();
        while self.events.recv().await.is_some() {}
        if let Some(poller) = self.poller.take() {
            let _ = tokio::task::spawn_blocking(move || poller.join()).await;
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Close);
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new().name(name.into()).spawn(run).map_err(|error| Error::Source(error.to_string()))
}

/// A client of ours, with the defaults of this one.
fn client_config(kafka: &KafkaConfig, defaults: &[(&str, &str)]) -> Result<ClientConfig, Error> {
    Ok(kafka.client("confab-consumer", defaults).map_err(Error::Settings)?.into_iter().collect())
}
