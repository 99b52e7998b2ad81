//! What the journal promises while Kafka is well.

use crate::{eventually, now, record, settings};
use confab_config::KafkaConfig;
use confab_hub::journal::{Error, Kafka, topics};
use confab_protocol::Record;
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);

async fn connected(config: &KafkaConfig) -> Kafka {
    topics::migrate(config).await.expect("topics are created");
    let kafka = Kafka::connect(config.clone()).expect("settings are good");
    kafka.ready(LONG).await.expect("the brokers answer");
    kafka
}

async fn tail(kafka: &Kafka, since: u64) -> (Vec<Record>, u64) {
    let read: Arc<Mutex<Vec<Record>>> = Arc::default();
    let each = Arc::clone(&read);
    let tail = kafka.tail(since, LONG, move |record| each.lock().push(record)).await.expect("the tail is read");
    let records = std::mem::take(&mut *read.lock());
    assert_eq!(records.len() as u64, tail.records);
    (records, tail.unreadable)
}

#[tokio::test]
async fn a_record_lies_once_under_its_room_with_three_headers() {
    let config = settings();
    let kafka = connected(&config).await;
    let records: Vec<_> = (0..60).map(|n| record(&format!("room:{}", n % 6), n / 6 + 1)).collect();
    let appends = records.iter().map(|record| kafka.append(record));
    for answer in futures_util::future::join_all(appends).await {
        answer.expect("delivered");
    }
    assert_eq!((kafka.counters().delivered(), kafka.counters().in_flight()), (60, 0));

    let mut partitions: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    let mut places: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let raw = read_raw(&config, 60);
    assert_eq!(raw.len(), 60, "each record once");
    for (partition, key, headers, value) in raw {
        let found = Record::from_json(value.as_bytes()).unwrap();
        let sent = records.iter().find(|record| record.event.id == found.event.id).expect("a record that was sent");
        assert_eq!(value, sent.to_json(), "byte for byte");
        assert_eq!(key, found.event.room.as_str());
        let expected = [("id", found.event.id.to_string()), ("kind", "message".into()), ("v", "1".into())];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value)));
        partitions.entry(key.clone()).or_default().insert(partition);
        places.entry(key).or_default().push(found.cursor.offset);
    }
    assert!(partitions.values().all(|partitions| partitions.len() == 1), "a room is in one partition");
    for places in places.values() {
        assert_eq!(*places, (1..=10).collect::<Vec<_>>(), "in the order in which they were appended");
    }
}

#[tokio::test]
async fn generations_are_numbered_from_one_and_never_twice() {
    let config = settings();
    let (a, b) = (connected(&config).await, connected(&config).await);
    assert_eq!(a.newest_generation().await.unwrap(), 0);
    let opens = (0..20).map(|n| {
        let kafka = if n % 2 == 0 { a.clone() } else { b.clone() };
        async move { kafka.open_generation(&format!("hub-{n}"), 0).await.expect("a generation") }
    });
    let numbers = futures_util::future::join_all(opens).await;
    assert_eq!(numbers.iter().copied().collect::<BTreeSet<_>>(), (1..=20).collect());
    let later = a.open_generation("later", 0).await.unwrap();
    assert!(later > 20, "a later one is higher");
    assert_eq!(b.newest_generation().await.unwrap(), later, "and everybody can find it");
}

#[tokio::test]
async fn a_topic_of_generations_that_was_made_anew_is_brought_up_to_what_is_known() {
    let config = settings();
    let kafka = connected(&config).await;
    let number = kafka.open_generation("hub", 2500).await.unwrap();
    assert!(number > 2500, "{number}");
    assert!(kafka.newest_generation().await.unwrap() >= number, "and everybody finds it");
    assert!(kafka.open_generation("hub", 7).await.unwrap() > number, "a lower one changes nothing");
    let mistaken = kafka.open_generation("hub", 1 << 40).await.unwrap_err();
    assert!(mistaken.to_string().contains("bring topic"), "{mistaken}");
}

#[tokio::test]
async fn the_tail_is_what_was_journaled_since_and_skips_what_cannot_be_read() {
    let config = settings();
    let kafka = connected(&config).await;
    assert_eq!(tail(&kafka, 0).await, (vec![], 0), "nothing yet");
    for n in 1..=30 {
        kafka.append(&record("before", n)).await.unwrap();
    }
    let then = now() + 5;
    eventually("the clock goes on", LONG, || async { now() > then + 5 }).await;
    write_raw(&config, b"{ this is no record");
    let after: Vec<_> = (1..=10).map(|n| record(&format!("after:{n}"), 1)).collect();
    for record in &after {
        kafka.append(record).await.unwrap();
    }
    let (records, unreadable) = tail(&kafka, then).await;
    assert_eq!(unreadable, 1);
    let ids = |records: &mut dyn Iterator<Item = &Record>| records.map(|r| r.event.id).collect::<BTreeSet<_>>();
    assert_eq!(ids(&mut records.iter()), ids(&mut after.iter().map(|record| &**record)));
    assert_eq!(tail(&kafka, 0).await.0.len(), 40);
    assert_eq!(tail(&kafka, now() + 60_000).await.0.len(), 0);
}

#[tokio::test]
async fn options_cannot_weaken_a_receipt_and_unknown_ones_are_named() {
    for (key, value) in
        [("acks", "1"), ("request.required.acks", "0"), ("enable.idempotence", "false"), ("colour", "red")]
    {
        let mut config = settings();
        config.options.insert(key.into(), value.into());
        match Kafka::connect(config).map(drop) {
            Err(Error::Settings(text)) => assert!(text.contains(key), "{text}"),
            other => panic!("{key} = {value} gave {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_missing_topic_is_unhealthy_and_says_what_to_do() {
    let kafka = Kafka::connect(settings()).unwrap();
    eventually("the answer is judged", LONG, || async {
        kafka.trouble().is_some_and(|trouble| trouble.contains("confab migrate"))
    })
    .await;
    assert!(!kafka.healthy());
    let error = kafka.ready(Duration::ZERO).await.unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("does not exist"));
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_a_record_out_of_time_is_unknown() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = KafkaConfig { brokers: vec![closed.to_string()], ..settings() };
    config.delivery_timeout = Duration::from_secs(2);
    config.options.insert("queue.buffering.max.messages".into(), "1".into());
    let kafka = Kafka::connect(config).unwrap();
    let waiting = tokio::spawn({
        let kafka = kafka.clone();
        async move { kafka.append(&record("room", 1)).await }
    });
    eventually("the first waits", LONG, || async { kafka.counters().in_flight() == 1 }).await;
    let began = Instant::now();
    assert!(matches!(kafka.append(&record("room", 2)).await, Err(Error::Refused(_))));
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(matches!(waiting.await.unwrap(), Err(Error::Unknown(_))));
    let counters = kafka.counters();
    assert_eq!((counters.refused(), counters.unknown(), counters.in_flight(), counters.delivered()), (1, 1, 0, 0));
}

#[tokio::test]
async fn a_producer_that_fails_for_good_is_made_anew() {
    let cluster = MockCluster::new(1).unwrap();
    let config = KafkaConfig { brokers: vec![cluster.bootstrap_servers()], ..settings() };
    cluster.create_topic(&config.events_topic(), 1, 1).unwrap();
    let kafka = Kafka::connect(config).unwrap();
    kafka.ready(LONG).await.unwrap();
    kafka.append(&record("room", 1)).await.unwrap();
    // The leader says that a number in the producer's sequence is missing: its promise is broken for good.
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER]);
    let answer = kafka.append(&record("room", 2)).await;
    assert!(matches!(answer, Err(Error::Unknown(_))), "{answer:?}");
    eventually("it is made anew", LONG, || async { kafka.counters().recreated() == 1 }).await;
    kafka.append(&record("room", 2)).await.unwrap();
}

type Raw = (i32, String, Vec<(String, String)>, String);

fn read_raw(config: &KafkaConfig, at_least: usize) -> Vec<Raw> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", config.brokers.join(","))
        .set("group.id", &config.topic_prefix)
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_range(&config.events_topic(), 0, config.partitions - 1);
    assignment.set_all_offsets(Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    let (mut raw, until) = (Vec::new(), Instant::now() + LONG);
    loop {
        match consumer.poll(Duration::from_millis(300)) {
            Some(message) => {
                let message = message.unwrap();
                let headers = message.headers().unwrap().iter();
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                raw.push((
                    message.partition(),
                    text(message.key().unwrap()),
                    headers.map(|header| (header.key.to_owned(), text(header.value.unwrap()))).collect(),
                    text(message.payload().unwrap()),
                ));
            }
            // A quiet moment after all are read: nothing more comes.
            None if raw.len() >= at_least || Instant::now() > until => return raw,
            None => {}
        }
    }
}

fn write_raw(config: &KafkaConfig, value: &[u8]) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", config.brokers.join(",")).create().unwrap();
    producer.send(BaseRecord::to(&config.events_topic()).key("raw").payload(value)).map_err(|(e, _)| e).unwrap();
    producer.flush(LONG).unwrap();
}
