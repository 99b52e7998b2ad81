//! `confab migrate`'s part in Kafka.

use crate::{eventually, record, settings};
use confab_hub::journal::{Kafka, topics};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use std::time::Duration;

#[tokio::test]
async fn migrating_creates_three_topics_once_and_says_that_one_copy_is_not_enough() {
    let mut config = settings();
    config.partitions = 5;
    config.retention = Duration::from_secs(3600);
    let first = topics::migrate(&config).await.unwrap();
    let shapes: Vec<_> = first.topics.iter().map(|t| (t.name.clone(), t.created, t.partitions, t.replicas)).collect();
    assert_eq!(
        shapes,
        [
            (config.events_topic(), true, 5, 1),
            (config.generations_topic(), true, 1, 1),
            (config.dead_letters_topic(), true, 1, 1),
        ]
    );
    assert!(first.warnings.iter().any(|warning| warning.contains("replication factor 1")), "{first:?}");
    assert!(first.warnings.iter().any(|warning| warning.contains("min.insync.replicas is 1")), "{first:?}");
    assert!(!first.warnings.iter().any(|warning| warning.contains("retention")), "{first:?}");

    let again = topics::migrate(&config).await.unwrap();
    assert!(again.topics.iter().all(|topic| !topic.created));
    assert_eq!(again.warnings, first.warnings);
}

#[tokio::test]
async fn existing_topics_that_cannot_keep_the_promises_are_named_and_left_alone() {
    let config = settings();
    let (events, generations) = (config.events_topic(), config.generations_topic());
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", config.brokers.join(",")).create().unwrap();
    let topics = [
        NewTopic::new(&events, 2, TopicReplication::Fixed(1))
            .set("cleanup.policy", "compact")
            .set("unclean.leader.election.enable", "true")
            .set("min.insync.replicas", "2"),
        NewTopic::new(&generations, 3, TopicReplication::Fixed(1))
            .set("retention.ms", "60000")
            .set("retention.bytes", "1000000")
            .set("message.timestamp.type", "CreateTime"),
    ];
    for created in admin.create_topics(&topics, &AdminOptions::new()).await.unwrap() {
        created.unwrap();
    }
    let report = topics::migrate(&config).await.unwrap();
    for (topic, words) in [
        (&events, "it has 2 partitions"),
        (&events, "compaction"),
        (&events, "unclean.leader.election"),
        (&events, "nothing can be written"),
        (&generations, "must have exactly 1"),
        (&generations, "for 60000 ms"),
        (&generations, "message.timestamp.type=LogAppendTime"),
        (&generations, "1000000 bytes"),
    ] {
        let found = report.warnings.iter().any(|warning| warning.contains(topic.as_str()) && warning.contains(words));
        assert!(found, "no warning of {topic} says \"{words}\": {:#?}", report.warnings);
    }
    assert_eq!(report.topics[1].partitions, 3, "it is left as it is");
}

#[tokio::test]
async fn a_topic_that_is_deleted_does_not_come_back_by_itself_and_what_is_sent_to_it_is_not_taken() {
    let mut config = settings();
    config.retention = Duration::from_secs(3600);
    config.delivery_timeout = Duration::from_secs(3);
    topics::migrate(&config).await.unwrap();
    let kafka = Kafka::connect(config.clone()).unwrap();
    kafka.ready(Duration::from_secs(20)).await.unwrap();
    kafka.append(&record("lobby", 1)).await.unwrap();
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", config.brokers.join(",")).create().unwrap();
    let events = config.events_topic();
    let described = admin.describe_configs(&[ResourceSpecifier::Topic(&events)], &AdminOptions::new()).await.unwrap();
    let entries = described.into_iter().next().unwrap().unwrap().entries;
    let clock = entries.iter().find(|entry| entry.name == "message.timestamp.type").unwrap();
    assert_eq!(clock.value.as_deref(), Some("LogAppendTime"), "retention goes by the brokers' clock");

    admin.delete_topics(&[events.as_str()], &AdminOptions::new()).await.unwrap();
    let there = || {
        let metadata = admin.inner().fetch_metadata(None, Duration::from_secs(5)).unwrap();
        metadata.topics().iter().any(|topic| topic.name() == events)
    };
    eventually("it is gone", Duration::from_secs(20), async || !there()).await;
    // Until its client notices the broker may still be asked for a topic that it has no more.
    for n in 2..5 {
        let refused = kafka.append(&record("lobby", n)).await;
        assert!(refused.is_err(), "there is no such topic");
    }
    assert!(!there(), "nobody made it anew");
    topics::migrate(&config).await.unwrap();
    eventually("records are taken again", Duration::from_secs(30), async || {
        kafka.append(&record("lobby", 5)).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn brokers_that_are_away_are_named_with_the_reason() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = settings();
    config.brokers = vec![closed.to_string()];
    let error = topics::migrate(&config).await.unwrap_err();
    assert!(error.to_string().contains(&closed.to_string()), "{error}");
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert!(reason.contains("refused"), "{reason}");
}

#[tokio::test]
async fn migrating_makes_room_for_the_largest_body_and_names_topics_that_have_none() {
    let mut config = settings();
    config.options.insert("message.max.bytes".into(), "3000000".into());
    let report = topics::migrate(&config).await.unwrap();
    assert!(!report.warnings.iter().any(|warning| warning.contains("max.message.bytes")), "{report:?}");
    assert_eq!(topics::message_bytes(&config).await.unwrap(), 3_000_000);

    config.options.insert("message.max.bytes".into(), "4000000".into());
    let report = topics::migrate(&config).await.unwrap();
    let named: Vec<_> =
        report.warnings.iter().filter(|warning| warning.contains("max.message.bytes=4000000")).collect();
    assert_eq!(named.len(), 2, "events and dead letters: {report:?}");
    let kafka = Kafka::connect(config).unwrap();
    kafka.learn_limits(Duration::from_secs(60)).await;
    assert!((2_990_000..3_000_000).contains(&kafka.record_bytes()), "{}", kafka.record_bytes());
}
