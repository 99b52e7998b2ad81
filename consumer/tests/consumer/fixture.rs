//! Topics and a database of the test's own, and consumers between them.

use crate::{eventually, variable};
use confab_config::{ConsumerConfig, KafkaConfig};
use confab_consumer::admin::Readiness;
use confab_consumer::{Consumer, Error, Metrics};
use confab_protocol::{Annotations, Body, Cursor, Event, EventId, Key, Kind, Record, Room, Sender, Trail, UserId};
use confab_store::{PostgresOptions, Store};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What a test works with.
pub struct Fixture {
    pub kafka: KafkaConfig,
    pub consumer: ConsumerConfig,
    pub database: Database,
    producer: BaseProducer,
}

impl Fixture {
    /// New topics with this many partitions, and an empty database with tables.
    pub async fn new(partitions: i32) -> Self {
        let prefix = format!("consumer-{}", EventId::fresh());
        let kafka = KafkaConfig {
            brokers: vec![variable("CONFAB_TEST_KAFKA")],
            topic_prefix: prefix.clone(),
            partitions,
            ..KafkaConfig::default()
        };
        let (events, letters) = (kafka.events_topic(), kafka.dead_letters_topic());
        let topics = [
            NewTopic::new(&events, partitions, TopicReplication::Fixed(1)),
            NewTopic::new(&letters, 1, TopicReplication::Fixed(1)),
        ];
        for created in admin(&kafka).create_topics(&topics, &AdminOptions::new()).await.expect("Kafka answers") {
            created.expect("a topic is created");
        }
        let consumer = ConsumerConfig { group: prefix, batch_records: 200, ..ConsumerConfig::default() };
        let producer = client(&kafka).set("enable.idempotence", "true").create().unwrap();
        Self { kafka, consumer, database: Database::create().await, producer }
    }

    /// Puts records into the topic, in this order.
    pub fn produce(&self, records: &[Record]) {
        for record in records {
            let (room, id) = (record.event.room.clone(), record.event.id);
            self.send(room.as_str(), Some(id), record.to_json().as_bytes());
        }
        self.producer.flush(Duration::from_secs(30)).expect("delivered");
    }

    /// Puts anything into the topic.
    pub fn produce_raw(&self, room: &str, id: Option<EventId>, value: &[u8]) {
        self.send(room, id, value);
        self.producer.flush(Duration::from_secs(30)).expect("delivered");
    }

    fn send(&self, room: &str, id: Option<EventId>, value: &[u8]) {
        let mut headers = OwnedHeaders::new();
        if let Some(id) = id {
            headers = headers.insert(Header { key: "id", value: Some(&id.to_string()) });
        }
        let topic = self.kafka.events_topic();
        let record = BaseRecord::to(&topic).key(room).payload(value).headers(headers);
        self.producer.send(record).map_err(|(error, _)| error).expect("enqueued");
    }

    /// Starts a consumer.
    pub fn start(&self) -> Running {
        self.start_with(&self.consumer, self.database.store())
    }

    /// Starts a consumer with settings and a store of its own.
    pub fn start_with(&self, config: &ConsumerConfig, store: Store) -> Running {
        let (metrics, stop) = (Arc::new(Metrics::default()), CancellationToken::new());
        let consumer = Consumer::start(&self.kafka, config, store, Arc::clone(&metrics), stop.clone()).unwrap();
        let readiness = consumer.readiness();
        Running { metrics, readiness, stop, task: tokio::spawn(consumer.run()) }
    }

    /// Waits until this many events have rows.
    pub async fn stored(&self, count: i64) {
        eventually(&format!("{count} events are stored"), || async { self.database.count("events").await >= count })
            .await;
        assert_eq!(self.database.count("events").await, count, "and not one more");
    }
}

/// A consumer at work.
pub struct Running {
    pub metrics: Arc<Metrics>,
    pub readiness: Readiness,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    /// Asks it to stop, and waits for it.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("no panic").expect("a graceful end");
    }

    /// Ends it wherever it is.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// A PostgreSQL database of the test's own; dropped with it.
pub struct Database {
    name: String,
    pub url: String,
}

impl Database {
    /// Creates it, with all tables.
    pub async fn create() -> Self {
        let name = format!("consumer_{}", EventId::fresh().0.simple());
        let server = variable("CONFAB_TEST_POSTGRES");
        execute(&server, &format!("create database {name}")).await;
        let (base, _) = server.rsplit_once('/').expect("a url with a database");
        let database = Self { url: format!("{base}/{name}"), name };
        database.store().migrate().await.expect("tables are created");
        database
    }

    /// A store on it, with connections of its own.
    pub fn store(&self) -> Store {
        store_at(&self.url)
    }

    /// How many rows a table has.
    pub async fn count(&self, table: &str) -> i64 {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let sql = format!("select count(*) from {table}");
        let count = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        count
    }

    /// Runs a statement.
    pub async fn execute(&self, sql: &str) {
        execute(&self.url, sql).await;
    }

    /// Every row of every table but the migrations', as JSON text.
    pub async fn dump(&self) -> Vec<String> {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let tables: Vec<String> = sqlx::query_scalar(
            "select table_name::text from information_schema.tables \
             where table_schema = 'public' and table_name not like '\\_sqlx%' order by 1",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        let mut dump = Vec::new();
        for table in tables {
            let sql = format!("select '{table} ' || row_to_json(t)::text from {table} t order by 1");
            dump.extend(sqlx::query_scalar::<_, String>(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap());
        }
        dump
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, sql) = (variable("CONFAB_TEST_POSTGRES"), format!("drop database {} with (force)", self.name));
        // A runtime of its own, as the test's may be on its way out.
        let dropped = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(execute(&server, &sql));
        });
        let _ = dropped.join();
    }
}

async fn execute(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.expect("PostgreSQL answers");
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
}

/// A store at an address.
pub fn store_at(url: &str) -> Store {
    let timeout = Duration::from_secs(3);
    Store::postgres(&PostgresOptions { url: url.into(), ca_file: None, connections: 4, timeout }).unwrap()
}

/// Settings of a client of the shared broker.
pub fn client(kafka: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", kafka.brokers.join(","));
    client
}

pub fn admin(kafka: &KafkaConfig) -> AdminClient<DefaultClientContext> {
    client(kafka).create().unwrap()
}

/// A message in a room, at a place.
pub fn message(room: &str, offset: u64, text: &str) -> Record {
    event(Kind::Message, room, offset, None, &serde_json::json!({ "text": text }).to_string())
}

/// Any event in a room, at a place.
pub fn event(kind: Kind, room: &str, offset: u64, target: Option<EventId>, body: &str) -> Record {
    let event = Event {
        kind,
        id: EventId::fresh(),
        room: Room::new(room).unwrap(),
        sender: Sender { user: UserId::new("ada").unwrap(), client: None, info: None },
        key: Key::fresh(),
        digest: "d".into(),
        at: 1_700_000_000_000 + offset,
        body: Body::parse(body).unwrap(),
        target,
        thread: None,
        annotations: Annotations::new(),
    };
    Record { event, cursor: Cursor::new(1, offset), trail: Trail::default() }
}

/// Messages 1 to `count` in each of these rooms, the rooms taking turns.
pub fn talk(rooms: usize, count: u64) -> Vec<Record> {
    let offsets = 1..=count;
    offsets
        .flat_map(|n| (0..rooms).map(move |room| message(&format!("room:{room}"), n, &format!("hello {n}"))))
        .collect()
}
