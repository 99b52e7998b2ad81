//! Faults injected for real: processes killed and stopped, services away.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::world::{Cluster, Plan};
use confab_tests::{eventually, topic};
use serde_json::json;
use std::time::Duration;
use tempfile::TempDir;
use xtask::services::{Kafka, Redis, kafka, redis};

/// A service of the test's own, so that it can be stopped without anybody else noticing.
async fn own<T: Send + 'static>(start: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(start).await?
}

pub async fn own_kafka(folder: &TempDir) -> Result<Kafka> {
    let folder = folder.path().join("kafka");
    own(move || Kafka::start(&folder, kafka::Options::default())).await
}

pub async fn own_redis(folder: &TempDir) -> Result<Redis> {
    let folder = folder.path().join("redis");
    own(move || Redis::start(&folder, redis::Options::default())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_killed_between_redis_and_kafka_loses_nothing_and_doubles_nothing() -> Result<()> {
    let mut cluster = Cluster::start("").await?;
    let mut bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    bob.subscribe("lobby", None).await?.unwrap();
    cluster.hubs[0].stop()?;
    cluster.hubs[0].set("CONFAB_FAILPOINT", "abort-after-append");
    cluster.hubs[0].start().await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let lost = ada.say("lobby", "k1", "in between").await;
    assert!(lost.is_err(), "no receipt before the record is durable: {lost:?}");
    assert!(!cluster.hubs[0].ended().await.success());
    let heard = bob.publication().await?;
    assert_eq!(heard["pub"]["data"]["text"], "in between");

    let id = heard["pub"]["tags"]["id"].as_str().context("an id")?.to_owned();
    let name = format!("{}-events", cluster.prefix);
    eventually("the other hub writes it down", async || {
        topic::records(&cluster.kafka, &name).await.ok().filter(|records| !records.is_empty())
    })
    .await;
    let again = Client::connect(&cluster.hubs[1].listen, "ada").await?.say("lobby", "k1", "in between").await?.unwrap();
    assert_eq!(again["id"], id);
    assert_eq!(again["offset"], 1);
    let records = topic::records(&cluster.kafka, &name).await?;
    assert_eq!(records.iter().map(|record| &record.id).collect::<Vec<_>>(), [&id]);
    let rows = eventually("it is stored", async || cluster.messages().await.ok().filter(|rows| !rows.is_empty())).await;
    assert_eq!(rows.len(), 1);
    assert!(bob.publication_now().is_none(), "heard once");
    cluster.hubs[0].unset_all();
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn while_kafka_is_away_nobody_gets_a_receipt_and_afterwards_both_get_the_one() -> Result<()> {
    let folder = TempDir::with_prefix("confab-kafka-")?;
    let mut kafka = own_kafka(&folder).await?;
    let more = "\n[limits]\nsend_deadline = \"2s\"\n".to_owned();
    let cluster = Cluster::planned(Plan { kafka: Some(kafka.address()), more, ..Plan::default() }).await?;
    let ada = [
        Client::connect(&cluster.hubs[0].listen, "ada").await?,
        Client::connect(&cluster.hubs[1].listen, "ada").await?,
    ];
    ada[0].say("lobby", "warm", "everything works").await?.unwrap();
    kafka.pause()?;
    let (first, second) =
        tokio::join!(ada[0].say("lobby", "k1", "through an outage"), ada[1].say("lobby", "k1", "through an outage"));
    for refused in [first?.unwrap_err(), second?.unwrap_err()] {
        assert_eq!(refused["temporary"], true, "{refused}");
    }
    eventually("the hubs notice, and refuse before anything is started", async || {
        let refused = ada[0].say("lobby", "k2", "not now").await.ok()?.err()?;
        (refused["code"] == 203).then_some(())
    })
    .await;
    kafka.resume()?;
    let receipts = eventually("both get their receipt", async || {
        let first = ada[0].say("lobby", "k1", "through an outage").await.ok()?.ok()?;
        let second = ada[1].say("lobby", "k1", "through an outage").await.ok()?.ok()?;
        Some([first, second])
    })
    .await;
    assert_eq!(receipts[0], receipts[1]);
    assert_eq!(receipts[0]["offset"], 2);
    let records = topic::records(&cluster.kafka, &format!("{}-events", cluster.prefix)).await?;
    let ids: std::collections::BTreeSet<_> = records.iter().map(|record| &record.id).collect();
    assert!(ids.contains(&receipts[0]["id"].as_str().unwrap().to_owned()));
    assert_eq!(
        records
            .iter()
            .filter(|record| record.key == "k1")
            .map(|r| &r.id)
            .collect::<std::collections::BTreeSet<_>>()
            .len(),
        1
    );
    cluster.end().await?;
    kafka.kill().map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_sessions_stay_and_sends_are_refused_for_now() -> Result<()> {
    let folder = TempDir::with_prefix("confab-redis-")?;
    let mut redis = own_redis(&folder).await?;
    let more = "\n[limits]\nsend_deadline = \"3s\"\n".to_owned();
    let cluster = Cluster::planned(Plan { redis: Some(redis.address()), more, ..Plan::default() }).await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let mut bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    bob.subscribe("lobby", None).await?.unwrap();
    let first = ada.say("lobby", "k1", "before").await?.unwrap();
    assert_eq!(bob.publication().await?["pub"]["offset"], 1);
    redis.kill()?;
    let refused = ada.say("lobby", "k2", "during").await?.unwrap_err();
    assert_eq!(refused["temporary"], true, "{refused}");

    redis.restart_empty()?;
    let again = eventually("a retry gets its first receipt, although Redis forgot it", async || {
        ada.say("lobby", "k1", "before").await.ok()?.ok()
    })
    .await;
    assert_eq!(again, first);
    let after = eventually("sends go on", async || ada.say("lobby", "k3", "after").await.ok()?.ok()).await;
    assert!(after["epoch"].as_str() > first["epoch"].as_str(), "the order begins anew under a new epoch: {after}");
    let told = bob.push().await?;
    assert!(told.get("unsubscribe").is_some() || told.get("pub").is_some(), "the session stayed: {told}");
    cluster.end().await?;
    redis.kill().map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn live_chat_does_not_notice_that_postgres_or_the_consumer_is_away() -> Result<()> {
    let mut cluster = Cluster::start("").await?;
    assert!(cluster.consumer.stop()?.success());
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    for n in 1..=10 {
        ada.say("lobby", &format!("k{n}"), "nobody stores this yet").await?.unwrap();
    }
    assert_eq!(cluster.messages().await?.len(), 0);
    cluster.consumer.start().await?;
    eventually("the consumer catches up", async || cluster.messages().await.ok().filter(|rows| rows.len() == 10)).await;
    let page = ada.rpc("history", json!({"room": "lobby", "limit": 3})).await?.unwrap();
    assert_eq!(page["next"]["offset"], 3);
    tokio::time::timeout(Duration::from_secs(30), cluster.end()).await?
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_a_silent_redis_may_still_take_is_unknown_and_is_said_once() -> Result<()> {
    let folder = TempDir::with_prefix("confab-redis-")?;
    let mut redis = own_redis(&folder).await?;
    let more = "\n[limits]\nsend_deadline = \"8s\"\n".to_owned();
    let cluster = Cluster::planned(Plan { redis: Some(redis.address()), more, ..Plan::default() }).await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let mut bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    bob.subscribe("lobby", None).await?.unwrap();
    ada.say("lobby", "warm", "everything works").await?.unwrap();
    assert_eq!(bob.publication().await?["pub"]["offset"], 1);
    redis.pause()?;
    // The key is the hub's own, so that the append is the first that Redis is asked for.
    let said = json!({"room": "lobby", "body": {"text": "into the silence"}});
    let unknown = ada.rpc("send", said).await?.unwrap_err();
    assert_eq!(unknown["code"], 202, "it is not refused: Redis has it, and takes it when it wakes: {unknown}");
    redis.resume()?;
    let heard = bob.publication().await?;
    assert_eq!((&heard["pub"]["data"]["text"], &heard["pub"]["offset"]), (&json!("into the silence"), &json!(2)));
    let rows = eventually("its hub writes it down, long before a sweep would", async || {
        cluster.messages().await.ok().filter(|rows| rows.len() == 2)
    })
    .await;
    assert_eq!(heard["pub"]["tags"]["id"], rows[1].id.as_str());
    ada.say("lobby", "after", "everything works again").await?.unwrap();
    assert_eq!(bob.publication().await?["pub"]["offset"], 3, "heard once");
    cluster.end().await?;
    redis.kill().map(drop)
}
