//! A broker that freezes, dies and comes back; and one that speaks TLS.

use crate::broker::{Broker, Listener};
use crate::{eventually, record, settings};
use confab_config::KafkaConfig;
use confab_hub::journal::{Error, Kafka, topics};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const START: Duration = Duration::from_secs(60);

fn settings_of(broker: &Broker) -> KafkaConfig {
    KafkaConfig { brokers: vec![broker.address()], partitions: 2, ..settings() }
}

async fn migrated(config: &KafkaConfig) {
    eventually("the broker serves", START, || async { topics::migrate(config).await.is_ok() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_or_killed_broker_turns_health_and_loses_nothing() {
    let mut broker = Broker::start(Listener::Plain);
    let config = settings_of(&broker);
    migrated(&config).await;
    let kafka = Kafka::connect(config).unwrap();
    kafka.ready(START).await.unwrap();
    let mut kept = vec![record("room", 1), record("room", 2)];
    for record in &kept {
        kafka.append(record).await.unwrap();
    }

    broker.freeze();
    turns(&kafka, false, Duration::from_secs(4)).await;
    let during = append(&kafka, &mut kept, 3);
    eventually("the append waits", START, || async { kafka.counters().in_flight() == 1 }).await;
    assert!(!kafka.healthy() && !during.is_finished());
    let began = Instant::now();
    assert!(kafka.tail(0, Duration::from_secs(1), |_| {}).await.is_err());
    assert!(began.elapsed() < Duration::from_secs(5), "a reading of the tail is bounded in time");
    broker.thaw();
    turns(&kafka, true, Duration::from_secs(10)).await;
    during.await.unwrap().expect("delivered after the freeze");

    broker.kill();
    turns(&kafka, false, Duration::from_secs(4)).await;
    let during = append(&kafka, &mut kept, 4);
    eventually("the append waits", START, || async { kafka.counters().in_flight() == 1 }).await;
    assert!(!kafka.healthy() && !during.is_finished());
    broker.restart();
    turns(&kafka, true, START).await;
    during.await.unwrap().expect("delivered after the restart");
    kafka.append(&record("other", 1)).await.unwrap();

    let copies: Arc<Mutex<BTreeMap<_, u32>>> = Arc::default();
    let count = Arc::clone(&copies);
    let each = move |record: confab_protocol::Record| *count.lock().entry(record.event.id).or_default() += 1;
    kafka.tail(0, START, each).await.unwrap();
    for record in kept {
        assert_eq!(copies.lock().get(&record.event.id), Some(&1), "{} is there once", record.cursor);
    }
}

fn append(
    kafka: &Kafka,
    kept: &mut Vec<Arc<confab_protocol::Record>>,
    offset: u64,
) -> tokio::task::JoinHandle<Result<(), Error>> {
    let (kafka, record) = (kafka.clone(), record("room", offset));
    kept.push(Arc::clone(&record));
    tokio::spawn(async move { kafka.append(&record).await })
}

async fn turns(kafka: &Kafka, healthy: bool, deadline: Duration) {
    eventually(if healthy { "healthy" } else { "unhealthy" }, deadline, || async { kafka.healthy() == healthy }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_passwords_come_through_the_options_and_fail_clearly_without() {
    let broker = Broker::start(Listener::Secure);
    let mut tls = settings_of(&broker);
    tls.options.insert("security.protocol".into(), "ssl".into());
    tls.options.insert("ssl.ca.location".into(), broker.authority().display().to_string());
    migrated(&tls).await;
    works(&tls).await;

    let mut password = KafkaConfig { brokers: vec![broker.sasl_address()], ..tls.clone() };
    password.options.insert("security.protocol".into(), "sasl_ssl".into());
    password.options.insert("sasl.mechanism".into(), "PLAIN".into());
    password.options.insert("sasl.username".into(), "hub".into());
    password.options.insert("sasl.password".into(), "right".into());
    works(&password).await;

    password.options.insert("sasl.password".into(), "wrong".into());
    let reason = fails(&password).await;
    assert!(reason.to_lowercase().contains("authentication"), "{reason}");
    tls.options.remove("ssl.ca.location");
    let reason = fails(&tls).await;
    assert!(reason.contains("certificate verify failed"), "{reason}");
}

async fn works(config: &KafkaConfig) {
    let kafka = Kafka::connect(config.clone()).unwrap();
    kafka.ready(START).await.unwrap();
    kafka.append(&record("room", 1)).await.unwrap();
    let tail = kafka.tail(0, START, |_| {}).await.unwrap();
    assert!(tail.records >= 1);
}

/// Why the journal cannot be written, once the reason has been heard.
async fn fails(config: &KafkaConfig) -> String {
    let kafka = Kafka::connect(config.clone()).unwrap();
    let heard = || async { kafka.trouble().is_some_and(|trouble| trouble.contains("failed")) };
    eventually("the reason is heard", START, heard).await;
    let error = kafka.ready(Duration::ZERO).await.unwrap_err();
    std::error::Error::source(&error).unwrap().to_string()
}
