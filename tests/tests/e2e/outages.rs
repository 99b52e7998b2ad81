//! Services away while people talk: what they see is what the docs say.

use crate::faults::own_kafka;
use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::world::{Cluster, Plan};
use confab_tests::{eventually, say_many, topic};
use serde_json::json;
use std::collections::BTreeSet;
use tempfile::TempDir;
use xtask::services::{Postgres, postgres};

/// How many events the buffer of these tests takes.
const BUFFER: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn with_a_buffer_listeners_hear_while_kafka_is_away_and_receipts_come_when_it_is_back() -> Result<()> {
    let folder = TempDir::with_prefix("confab-kafka-")?;
    let mut kafka = own_kafka(&folder).await?;
    let cluster = Cluster::planned(Plan {
        kafka: Some(kafka.address()),
        more: "\n[limits]\nsend_deadline = \"6s\"\n".to_owned(),
        delivery_timeout: "6s",
        journal: "on_outage = \"buffer\"\noutage_buffer = { events = 20, time = \"2m\" }".to_owned(),
        ..Plan::default()
    })
    .await?;
    let hub = &cluster.hubs[0];
    let ada = Client::connect(&hub.listen, "ada").await?;
    let mut bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    bob.subscribe("lobby", None).await?.unwrap();
    ada.say("lobby", "warm", "everything works").await?.unwrap();
    bob.publication().await?;

    kafka.pause()?;
    eventually("the hub notices", async || {
        hub.metric("confab_journal_healthy").await.ok().filter(|healthy| *healthy == 0.0).map(drop)
    })
    .await;
    let send = |n: usize| json!({"room": "lobby", "key": format!("k{n}"), "body": {"text": "buffered"}});
    let twice = [ada.begin_rpc("send", send(0)), ada.begin_rpc("send", send(0))];
    assert_eq!(bob.publication().await?["pub"]["offset"], 2, "listeners hear it meanwhile");
    for unknown in twice {
        let unknown = unknown.await?.unwrap_err();
        assert_eq!((&unknown["code"], &unknown["temporary"]), (&json!(202), &json!(true)), "past the deadline");
    }
    let one = async || hub.metric("confab_sends_unjournaled").await.ok().filter(|waiting| *waiting == 1.0).map(drop);
    eventually("a retry that is answered waits no more, and only what it asked after does", one).await;
    let waiting: Vec<_> = (1..BUFFER).map(|n| ada.begin_rpc("send", send(n))).collect();
    for n in 1..BUFFER {
        assert_eq!(bob.publication().await?["pub"]["offset"], n + 2);
    }
    assert_eq!(hub.metric("confab_sends_unjournaled").await?, BUFFER as f64);
    let refused = ada.say("lobby", "one too many", "no room").await?.unwrap_err();
    assert_eq!((&refused["code"], &refused["temporary"]), (&json!(203), &json!(true)));
    for unknown in waiting {
        let unknown = unknown.await?.unwrap_err();
        assert_eq!((&unknown["code"], &unknown["temporary"]), (&json!(202), &json!(true)), "past the deadline");
    }
    eventually("librdkafka gives up, the hub does not", async || {
        hub.metric("confab_journal_unknown_total").await.ok().filter(|unknown| *unknown >= BUFFER as f64).map(drop)
    })
    .await;

    kafka.resume()?;
    let mut ids = BTreeSet::new();
    for n in 0..BUFFER {
        let receipt = eventually("a retry gets the receipt", async || {
            ada.say("lobby", &format!("k{n}"), "buffered").await.ok()?.ok()
        })
        .await;
        ids.insert(receipt["id"].as_str().context("an id")?.to_owned());
    }
    assert_eq!(ids.len(), BUFFER);
    let records = topic::records(&cluster.kafka, &format!("{}-events", cluster.prefix)).await?;
    let kept: BTreeSet<_> = records.into_iter().map(|record| record.id).collect();
    assert!(ids.is_subset(&kept) && kept.len() == BUFFER + 1, "each is kept: {} of {BUFFER}", kept.len() - 1);
    let rows =
        eventually("each is stored once", async || cluster.messages().await.ok().filter(|rows| rows.len() > BUFFER))
            .await;
    assert_eq!(rows.len(), BUFFER + 1);
    ada.say("lobby", "after", "everything works again").await?.unwrap();
    assert_eq!(bob.publication().await?["pub"]["offset"], BUFFER + 2, "nothing is heard twice");
    cluster.end().await?;
    kafka.kill().map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_postgres_is_away_people_talk_and_only_what_it_alone_knows_is_refused_for_now() -> Result<()> {
    let folder = TempDir::with_prefix("confab-postgres-")?;
    let data = folder.path().join("postgres");
    let started = tokio::task::spawn_blocking(move || Postgres::start(&data, postgres::Options::for_tests()));
    let mut postgres = started.await??;
    let rooms = "\n[[room]]\nmatch = [\"**\"]\nhot_window = { events = 50 }\n".to_owned();
    let plan = Plan { postgres: Some(postgres.address()), more: rooms, ..Plan::default() };
    let cluster = Cluster::planned(plan).await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let mut bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    let epoch = bob.subscribe("lobby", None).await?.unwrap()["epoch"].as_str().context("an epoch")?.to_owned();
    say_many(&ada, "lobby", 1..=100).await?;
    eventually("all is stored", async || cluster.messages().await.ok().filter(|rows| rows.len() == 100).map(drop))
        .await;

    postgres.pause()?;
    say_many(&ada, "lobby", 101..=150).await?;
    for offset in 1..=150 {
        assert_eq!(bob.publication().await?["pub"]["offset"], offset);
    }
    let back = Client::connect(&cluster.hubs[0].listen, "back").await?;
    let deep = back.subscribe("lobby", Some((&epoch, 1))).await?.unwrap_err();
    assert_eq!((&deep["code"], &deep["temporary"]), (&json!(205), &json!(true)));
    let near = back.subscribe("lobby", Some((&epoch, 120))).await?.unwrap();
    assert_eq!(near["recovered"], true, "the hot window answers");

    postgres.resume()?;
    let again = Client::connect(&cluster.hubs[1].listen, "again").await?;
    let joined =
        eventually("deep recovery works again", async || again.subscribe("lobby", Some((&epoch, 1))).await.ok()?.ok())
            .await;
    assert_eq!(joined["recovered"], true);
    eventually("the consumer catches up", async || {
        cluster.messages().await.ok().filter(|rows| rows.len() == 150).map(drop)
    })
    .await;
    cluster.end().await?;
    postgres.stop()
}
