//! What `docs/guide/operators.md` tells operators to do with Kafka, walked through.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::world::{Cluster, Plan};
use confab_tests::{eventually, topic};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::task::block_in_place;

/// The keys that the store has of all rooms; each key once, or it is an error.
async fn stored(cluster: &Cluster) -> Result<BTreeSet<String>> {
    let rows = cluster.messages().await?;
    let keys: BTreeSet<String> = rows.iter().map(|row| format!("{} {}", row.room, row.key)).collect();
    anyhow::ensure!(keys.len() == rows.len(), "a key is stored twice");
    Ok(keys)
}

/// Says something in each of eight rooms, and notes what was acknowledged.
async fn say(client: &Client, round: u32, said: &mut BTreeSet<String>) -> Result<()> {
    for n in 0..8 {
        let (room, key) = (format!("room:{n}"), format!("k{round}"));
        let receipt = eventually("it is acknowledged", async || client.say(&room, &key, "talk").await.ok()?.ok()).await;
        anyhow::ensure!(receipt["offset"].is_u64(), "{receipt}");
        said.insert(format!("{room} {key}"));
    }
    Ok(())
}

async fn nothing_is_missing(cluster: &Cluster, said: &BTreeSet<String>) -> Result<()> {
    eventually("all are stored", async || stored(cluster).await.ok().filter(|keys| keys == said)).await;
    let (status, out, err) = block_in_place(|| cluster.hubs[0].verb(&["lost", "list", "--json"]))?;
    let lost: Value = serde_json::from_str(&out).with_context(|| format!("{status} {err}"))?;
    assert_eq!(lost["rooms"], json!([]), "no room misses a place");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_added_while_people_talk_and_every_room_goes_on() -> Result<()> {
    let mut cluster = Cluster::start("").await?;
    let topic = format!("{}-events", cluster.prefix);
    let mut said = BTreeSet::new();
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    say(&ada, 0, &mut said).await?;
    topic::add_partitions(&cluster.kafka, &topic, 12).await?;
    say(&ada, 1, &mut said).await?;
    // A hub that begins sees them at once; the other goes on with those it knows.
    let restarted = &mut cluster.hubs[1];
    block_in_place(|| restarted.stop())?;
    restarted.start().await?;
    let bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    for round in 2..6 {
        say(if round % 2 == 0 { &bob } else { &ada }, round, &mut said).await?;
    }
    block_in_place(|| cluster.consumer.stop())?;
    cluster.consumer.start().await?;
    nothing_is_missing(&cluster, &said).await?;
    let used = topic::used_partitions(&cluster.kafka, &topic)?;
    assert!(used.iter().any(|partition| *partition >= 4), "the new ones are used: {used:?}");
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_of_events_that_is_made_anew_goes_on_and_nothing_stored_is_lost() -> Result<()> {
    let mut cluster = Cluster::planned(Plan { hubs: 1, ..Plan::default() }).await?;
    let topic = format!("{}-events", cluster.prefix);
    let mut said = BTreeSet::new();
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    for round in 0..3 {
        say(&ada, round, &mut said).await?;
    }
    eventually("all are stored", async || stored(&cluster).await.ok().filter(|keys| *keys == said)).await;
    block_in_place(|| cluster.hubs[0].stop())?;
    block_in_place(|| cluster.consumer.stop())?;
    topic::remove(&cluster.kafka, &topic).await?;
    // The brokers take a moment to let go of the name.
    eventually("it is made anew", async || {
        let (status, out, _) = block_in_place(|| cluster.hubs[0].verb(&["migrate"])).ok()?;
        (status.success() && out.contains(&format!("created topic {topic}"))).then_some(())
    })
    .await;
    cluster.consumer.start().await?;
    cluster.hubs[0].start().await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    say(&ada, 3, &mut said).await?;
    nothing_is_missing(&cluster, &said).await?;
    let page = ada.rpc("history", json!({"room": "room:0", "limit": 10})).await?.unwrap();
    let keys: Vec<_> = page["events"].as_array().context("events")?.iter().map(|event| &event["key"]).collect();
    assert_eq!(keys, ["k0", "k1", "k2", "k3"], "{page}");
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_is_moved_without_its_records_and_rooms_go_on_where_they_were() -> Result<()> {
    let mut cluster = Cluster::planned(Plan { hubs: 1, ..Plan::default() }).await?;
    let mut said = BTreeSet::new();
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    for round in 0..3 {
        say(&ada, round, &mut said).await?;
    }
    let before = ada.say("room:0", "last", "talk").await?.unwrap();
    said.insert("room:0 last".to_owned());
    eventually("all are stored", async || stored(&cluster).await.ok().filter(|keys| *keys == said)).await;
    block_in_place(|| cluster.hubs[0].stop())?;
    block_in_place(|| cluster.consumer.stop())?;
    // Topics of other names are for a hub what other brokers are.
    let (old, new) =
        (format!("topic_prefix = \"{}\"", cluster.prefix), format!("topic_prefix = \"{}-moved\"", cluster.prefix));
    for program in [&cluster.hubs[0], &cluster.consumer] {
        let text = std::fs::read_to_string(program.config())?;
        std::fs::write(program.config(), text.replace(&old, &new))?;
    }
    let (status, out, err) = block_in_place(|| cluster.hubs[0].verb(&["migrate"]))?;
    assert!(status.success(), "{out}{err}");
    cluster.consumer.start().await?;
    cluster.hubs[0].start().await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    say(&ada, 3, &mut said).await?;
    let after = ada.say("room:0", "first", "talk").await?.unwrap();
    said.insert("room:0 first".to_owned());
    assert_eq!((&after["epoch"], &after["offset"]), (&before["epoch"], &json!(6)), "{after} after {before}");
    nothing_is_missing(&cluster, &said).await?;
    let page = ada.rpc("history", json!({"room": "room:0", "limit": 10})).await?.unwrap();
    assert_eq!(page["events"].as_array().map(Vec::len), Some(6), "what was said before is there: {page}");
    cluster.end().await
}
