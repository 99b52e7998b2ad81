//! From Kafka into PostgreSQL: fills a topic, and watches a consumer take it into a table.

use crate::bare::{make_topic, record};
use crate::plan::Scenario;
use crate::report::Report;
use crate::usage::{Meter, Processes};
use anyhow::{Context, Result, ensure};
use confab_protocol::Record;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::time::{Duration, Instant};

/// How long the brokers may take for all records, and a consumer for all rows.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often the rows are counted.
const COUNT_EVERY: Duration = Duration::from_millis(200);

/// The table of a sink that knows none of the hub's: what an event says, its place as the key, its id once.
const SINK: &str = "create table sink (
    room text not null, epoch bigint not null, seq bigint not null, id uuid not null unique, sender text not null,
    kind smallint not null, body jsonb not null, at timestamptz not null, primary key (room, epoch, seq))";

/// Fills a topic with events of a fresh cluster. `sink`: makes the table of a sink in this database. `flat`: the events are
/// what a sink of others wants, and the topic is made for it.
pub async fn fill(broker: &str, topic: &str, records: u64, sink: Option<&str>, flat: bool) -> Result<()> {
    if let Some(postgres) = sink {
        let mut connection = PgConnection::connect(postgres).await?;
        sqlx::raw_sql(SINK).execute(&mut connection).await?;
    }
    if flat {
        make_topic(broker, topic).await?;
    }
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", broker).set("enable.idempotence", "true").set("linger.ms", "5");
    let producer: ThreadedProducer<DefaultProducerContext> = client.create()?;
    for n in 0..records {
        let record = record(n)?;
        let value = if flat { self::flat(&record) } else { record.to_json() };
        let mut to = BaseRecord::to(topic).key(record.event.room.as_str()).payload(&value);
        while let Err((error, back)) = producer.send(to) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            ensure!(error == full, "Kafka did not take a record: {error}");
            tokio::time::sleep(Duration::from_millis(5)).await;
            to = back;
        }
    }
    tokio::task::spawn_blocking(move || producer.flush(PATIENCE)).await?.context("Kafka did not take all records")
}

fn flat(record: &Record) -> String {
    let event = &record.event;
    let at = jiff::Timestamp::from_millisecond(event.at as i64).unwrap_or_default().to_string();
    let value = json!({
        "room": event.room, "epoch": record.cursor.epoch.0, "seq": record.cursor.offset, "id": event.id,
        "sender": event.sender.user, "kind": 1, "body": event.body.as_str(), "at": at,
    });
    value.to_string()
}

/// Waits until a table has so many rows. What is measured is the second half: the first warms everybody up.
pub async fn watch(postgres: &str, table: &str, records: u64, server: &mut Processes) -> Result<Report> {
    let mut connection = PgConnection::connect(postgres).await?;
    let half = until(&mut connection, table, records / 2).await?;
    let mut meter = Meter::begin(server)?;
    let all = until(&mut connection, table, records).await?;
    let report = Report::of(Scenario::Consumer, 0).using(meter.used(server)?);
    Ok(Report { sent: all - half, resident_kib: server.peak_kib()?, ..report })
}

async fn until(connection: &mut PgConnection, table: &str, wanted: u64) -> Result<u64> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let sql = AssertSqlSafe(format!("select count(*) from {table}"));
        let count: i64 = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
        if count as u64 >= wanted {
            return Ok(count as u64);
        }
        ensure!(Instant::now() < deadline, "after {PATIENCE:?} there are {count} rows of {wanted}");
        tokio::time::sleep(COUNT_EVERY).await;
    }
}
