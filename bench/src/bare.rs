//! Redis and Kafka by themselves, asked for what a hub of the cluster profile asks of them, at the same pace: what a
//! receipt cannot be faster than.

use crate::body::{self, Stamp};
use crate::histogram::Histogram;
use crate::plan::Scenario;
use crate::report::{Latency, Report};
use crate::usage::{Meter, Processes};
use anyhow::{Context, Result};
use confab_protocol::{Body, Cursor, Draft, Event, EventId, Key, Kind, Record, Room, Sender, Trail, UserId};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use redis::aio::MultiplexedConnection;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// What the hub appends with.
const APPEND: &str = include_str!("../../hub/src/timeline/redis/append.lua");
/// How many rooms the events go to, in turn.
const ROOMS: u64 = 50;
/// Events a second, as in the scenario `paced`.
const RATE: u64 = 1000;
/// How long the topic may take to be made, and a record to be delivered.
const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody who can be asked to take an event.
#[derive(Clone)]
enum Service {
    Redis { connection: MultiplexedConnection, script: Arc<str> },
    Kafka { producer: FutureProducer, topic: Arc<str> },
}

/// Measures Redis, at `redis://…`.
pub async fn redis(url: &str, server: &mut Processes, warm_up: Duration, measured: Duration) -> Result<Report> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let script: String = redis::cmd("SCRIPT").arg("LOAD").arg(APPEND).query_async(&mut connection).await?;
    let mut open = redis::cmd("HSET");
    open.arg("{b}:bucket").arg(&["generation", "1", "state", "open", "opened_at", "0"]);
    let () = open.query_async(&mut connection).await?;
    run(Service::Redis { connection, script: script.into() }, server, warm_up, measured).await
}

/// Measures Kafka, at `HOST:PORT`.
pub async fn kafka(broker: &str, server: &mut Processes, warm_up: Duration, measured: Duration) -> Result<Report> {
    let topic: Arc<str> = "bench-events".into();
    make_topic(broker, &topic).await?;
    // As the hub has it: every in-sync replica, in order, a millisecond for company.
    let mut producer = ClientConfig::new();
    producer.set("bootstrap.servers", broker).set("enable.idempotence", "true").set("linger.ms", "1");
    run(Service::Kafka { producer: producer.create()?, topic }, server, warm_up, measured).await
}

/// Makes the topic, as a fresh cluster's is made.
pub async fn make_topic(broker: &str, topic: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", broker).create()?;
    let new = NewTopic::new(topic, 12, TopicReplication::Fixed(1));
    let made = admin.create_topics([&new], &AdminOptions::new().operation_timeout(Some(PATIENCE))).await?;
    for one in made {
        one.map_err(|(name, code)| anyhow::anyhow!("topic {name}: {code}"))?;
    }
    Ok(())
}

async fn run(service: Service, server: &mut Processes, warm_up: Duration, measured: Duration) -> Result<Report> {
    paced(&service, 0, warm_up).await?;
    let mut meter = Meter::begin(server)?;
    let (took, sent) = paced(&service, RATE * 1_000_000, measured).await?;
    let report = Report::of(Scenario::Paced, 1).using(meter.used(server)?);
    Ok(Report { sent, resident_kib: server.resident_kib()?, acknowledged: Latency::of(&took), ..report })
}

/// Asks at the pace for so long, whatever the answers take; the first event's number is `first`.
async fn paced(service: &Service, first: u64, span: Duration) -> Result<(Histogram, u64)> {
    let (begun, (teller, mut told)) = (Instant::now(), mpsc::unbounded_channel());
    let mut tick = tokio::time::interval(Duration::from_secs(1) / RATE as u32);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut sent = 0;
    while begun.elapsed() < span {
        tick.tick().await;
        let (service, teller, record) = (service.clone(), teller.clone(), record(first + sent)?);
        sent += 1;
        tokio::spawn(async move {
            let begun = Instant::now();
            let taken = service.take(&record).await;
            let _ = teller.send(taken.map(|()| begun.elapsed())); // nobody waits after a failure
        });
    }
    drop(teller);
    let mut took = Histogram::default();
    while let Some(one) = told.recv().await {
        took.add(one?.as_nanos() as u64);
    }
    Ok((took, sent))
}

impl Service {
    async fn take(self, record: &Record) -> Result<()> {
        let event = &record.event;
        match self {
            Self::Redis { mut connection, script } => {
                let (room, key) = (event.room.as_str(), event.key.as_str());
                let names = ["meta", "window", "index", "deleted"].map(|part| format!("{{b}}:{part}:{room}"));
                let mut command = redis::cmd("EVALSHA");
                command.arg(&*script).arg(8).arg("{b}:bucket").arg(&names).arg(format!("{{b}}:key:{room}:{key}"));
                command.arg("{b}:pending").arg(format!("{{b}}:relay:{room}"));
                let id = event.id.to_string();
                command.arg("1").arg(&id).arg(&event.digest).arg(event.at).arg("bench");
                command.arg(Record::json_without_place(event, &record.trail)).arg(1000).arg(86_400_000).arg(600_000);
                let answer: Vec<String> = command.arg("").arg("").arg(room).query_async(&mut connection).await?;
                anyhow::ensure!(answer.first().is_some_and(|word| word == "placed"), "Redis answered {answer:?}");
                Ok(())
            }
            Self::Kafka { producer, topic } => {
                let value = record.to_json();
                let to = FutureRecord::to(&topic).key(event.room.as_str()).payload(&value);
                let delivered = producer.send(to, PATIENCE).await;
                delivered.map(drop).map_err(|(error, _)| error).context("Kafka did not take a record")
            }
        }
    }
}

/// The `n`th event of a load: a message of 200 bytes.
pub fn record(n: u64) -> Result<Record> {
    let room = n % ROOMS;
    let mut text = Vec::new();
    body::write(&mut text, Stamp { room: room as u32, number: n / ROOMS, sent: 0 });
    let (room, key) = (Room::new(format!("bench:{room}"))?, Key::fresh());
    let body = Body::parse(String::from_utf8(text)?)?;
    let (kind, target, thread) = (Kind::Message, None, None);
    let draft = Draft { kind, room: room.clone(), key: key.clone(), body: body.clone(), target, thread };
    let sender = Sender { user: UserId::new("bench")?, client: Some(EventId::fresh().to_string()), info: None };
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as u64;
    let (id, digest, annotations) = (EventId::fresh(), draft.digest(), BTreeMap::new());
    let event = Event { kind, id, room, sender, key, digest, at, body, target, thread, annotations };
    Ok(Record { event, cursor: Cursor::new(1, n / ROOMS + 1), trail: Trail::default() })
}
