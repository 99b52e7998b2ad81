//! Hubs over a Redis Cluster: people talk, drop and recover while slots move, and while a primary is lost.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::world::{Cluster, Plan, service};
use confab_tests::{eventually, topic};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use tempfile::TempDir;
use xtask::services::{RedisCluster, redis_cluster};

/// Two hubs over these nodes.
async fn hubs(nodes: &[String]) -> Result<Cluster> {
    Cluster::planned(Plan {
        redis: Some("redis://not-used.invalid".to_owned()),
        timeline: format!("cluster = {{ nodes = {} }}", json!(nodes)),
        more: "\n[limits]\nsend_deadline = \"3s\"\n".to_owned(),
        ..Plan::default()
    })
    .await
}

/// Says it until there is a receipt.
pub async fn say(client: &Client, room: &str, n: usize) -> Result<String> {
    for _ in 0..300 {
        match client.say(room, &format!("k{n}"), &format!("message {n}")).await? {
            Ok(receipt) => return receipt["id"].as_str().map(str::to_owned).context("a receipt has an id"),
            Err(refusal) => anyhow::ensure!(refusal["temporary"] == true, "refused: {refusal}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("message {n} got no receipt")
}

/// Two hundred receipts: all are in the journal, and each event is stored once, at a place of its own.
pub async fn each_stands_once(cluster: &Cluster, receipts: &BTreeSet<String>) -> Result<()> {
    assert_eq!(receipts.len(), 200);
    let records = topic::records(&cluster.kafka, &format!("{}-events", cluster.prefix)).await?;
    let journaled: BTreeSet<_> = records.into_iter().map(|record| record.id).collect();
    assert!(receipts.is_subset(&journaled), "what has a receipt is in the journal");
    let rows =
        eventually("each is stored once", async || cluster.messages().await.ok().filter(|rows| rows.len() >= 200))
            .await;
    let stored: BTreeSet<_> = rows.iter().map(|row| row.id.clone()).collect();
    assert_eq!((rows.len(), &stored), (200, receipts));
    let places: BTreeSet<_> = rows.iter().map(|row| row.cursor).collect();
    assert_eq!(places.len(), 200, "no place is given twice");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_on_two_hubs_over_a_redis_cluster_hear_one_another_drop_and_recover() -> Result<()> {
    let nodes: Vec<String> = service("CONFAB_TEST_REDIS_CLUSTER")?.split(',').map(str::to_owned).collect();
    let cluster = hubs(&nodes).await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let mut bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    let rooms: Vec<String> = (0..8).map(|n| format!("room:{n}")).collect();
    let mut epochs = Vec::new();
    for room in &rooms {
        let joined = bob.subscribe(room, None).await?.unwrap();
        epochs.push(joined["epoch"].as_str().context("an epoch")?.to_owned());
    }
    for room in &rooms {
        say(&ada, room, 1).await?;
        let heard = bob.publication().await?;
        assert_eq!((&heard["channel"], &heard["pub"]["offset"]), (&json!(room), &json!(1)));
    }
    drop(bob);
    for room in &rooms {
        say(&ada, room, 2).await?;
        say(&ada, room, 3).await?;
    }
    let mut bob = Client::connect(&cluster.hubs[0].listen, "bob").await?;
    for (room, epoch) in rooms.iter().zip(&epochs) {
        let joined = bob.subscribe(room, Some((epoch, 1))).await?.unwrap();
        assert_eq!(joined["recovered"], true, "{joined}");
        let missed: Vec<_> = joined["publications"].as_array().context("what was missed")?.iter().collect();
        assert_eq!(missed.iter().map(|missed| missed["offset"].as_u64()).collect::<Vec<_>>(), [Some(2), Some(3)]);
    }
    say(&ada, &rooms[0], 4).await?;
    assert_eq!(bob.publication().await?["pub"]["offset"], 4);
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_that_move_and_a_primary_that_is_lost_cost_no_acknowledged_message() -> Result<()> {
    let folder = TempDir::with_prefix("confab-redis-cluster-")?;
    let path = folder.path().to_owned();
    let options = redis_cluster::Options {
        replicas: true,
        node_timeout: Duration::from_secs(1),
        ..redis_cluster::Options::default()
    };
    let mut redis = tokio::task::spawn_blocking(move || RedisCluster::start(&path, &options)).await??;
    let cluster = hubs(&redis.addresses()).await?;
    let speakers = [
        Client::connect(&cluster.hubs[0].listen, "ada").await?,
        Client::connect(&cluster.hubs[1].listen, "ada").await?,
    ];
    let mut bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    bob.subscribe("lobby", None).await?.unwrap();
    let mut receipts = BTreeSet::new();
    for n in 0..100 {
        if n % 4 == 0 {
            let bucket = n / 4 % 8;
            redis = tokio::task::spawn_blocking(move || -> Result<_> {
                redis.move_slot(redis.slot(&format!("{{b{bucket}}}"))?, n / 4 % 3)?;
                Ok(redis)
            })
            .await??;
        }
        receipts.insert(say(&speakers[n % 2], "lobby", n).await?);
        let heard = bob.publication().await?;
        assert_eq!(heard["pub"]["offset"], n + 1, "in order, whatever moves");
    }
    redis.node(0).kill()?;
    for n in 100..200 {
        receipts.insert(say(&speakers[n % 2], "lobby", n).await?);
    }
    each_stands_once(&cluster, &receipts).await?;
    let (one, other) = (say(&speakers[0], "lobby", 50).await?, say(&speakers[1], "lobby", 50).await?);
    assert_eq!(one, other, "a retry gets its first receipt");
    cluster.end().await
}
