//! A generation that ends while events are on their way.

use crate::faults::own_kafka;
use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::world::{Cluster, Embedded, Plan, plugin};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Makes the generation unknown while everything else in Redis survives, as a failover to a replica does.
async fn lose_the_generation(cluster: &Cluster) -> Result<()> {
    let keys = cluster.keys("generation").await?;
    let arguments: Vec<&str> = ["DEL"].into_iter().chain(keys.iter().map(String::as_str)).collect();
    cluster.redis(&arguments).await.map(drop)
}

/// The room's events, oldest first: of each its epoch and its key.
async fn said(client: &Client, room: &str) -> Result<Vec<(String, String)>> {
    let page = client.rpc("history", json!({"room": room, "limit": 100})).await?;
    let page = page.ok().context("a page")?;
    let events = page["events"].as_array().context("events")?;
    let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
    Ok(events.iter().map(|event| (text(event, "epoch"), text(event, "key"))).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_whose_generation_ends_on_their_way_are_placed_in_the_next_in_their_order_and_have_their_receipts()
-> Result<()> {
    const COUNT: usize = 12;
    let folder = TempDir::with_prefix("confab-kafka-")?;
    let mut kafka = own_kafka(&folder).await?;
    let cluster = Cluster::planned(Plan { kafka: Some(kafka.address()), ..Plan::default() }).await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let mut bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    bob.subscribe("lobby", None).await?.unwrap();
    let warm = ada.say("lobby", "warm", "everything works").await?.unwrap();
    bob.publication().await?;

    kafka.pause()?;
    let send = |n: usize| json!({"room": "lobby", "key": format!("k{n}"), "body": {"text": format!("{n}")}});
    let sent: Vec<_> = (0..COUNT).map(|n| ada.begin_rpc("send", send(n))).collect();
    let mut heard = Vec::new();
    for n in 0..COUNT {
        let publication = bob.publication().await?;
        assert_eq!(publication["pub"]["offset"], n + 2, "it is heard, and not in the journal");
        heard.push(publication["pub"]["tags"]["id"].clone());
    }
    lose_the_generation(&cluster).await?;
    kafka.resume()?;
    for (n, answer) in sent.into_iter().enumerate() {
        let receipt = match answer.await? {
            Ok(receipt) => receipt,
            Err(refusal) => {
                assert_eq!(refusal["code"], 202, "nothing refuses it any more: {refusal}");
                let again = async || ada.rpc("send", send(n)).await.ok()?.ok();
                eventually("a retry gets the receipt", again).await
            }
        };
        assert_eq!(receipt["id"], heard[n], "what was heard is what stands");
    }
    let after = async || ada.say("lobby", "after", "and goes on").await.ok()?.ok();
    let after = eventually("the room goes on", after).await;
    let newest = after["epoch"].as_str().context("an epoch")?.to_owned();
    assert!(newest.as_str() > warm["epoch"].as_str().context("an epoch")?, "another generation has begun");
    let carol = Client::connect(&cluster.hubs[1].listen, "carol").await?;
    let said = eventually("all of it can be read", async || {
        let said = said(&carol, "lobby").await.ok()?;
        let has = |n: usize| said.iter().any(|(_, key)| *key == format!("k{n}"));
        (0..COUNT).all(has).then_some(said)
    })
    .await;
    // What the journal had when the new generation got its keys back stands where it was; the rest is placed anew.
    let placed_anew: Vec<_> = said.iter().filter(|(epoch, _)| *epoch == newest).map(|(_, key)| key.clone()).collect();
    let in_order = (0..COUNT).map(|n| format!("k{n}")).chain(["after".to_owned()]);
    let expected: Vec<_> = in_order.filter(|key| placed_anew.contains(key)).collect();
    assert_eq!(placed_anew, expected, "in the order of their sender, and before what comes later");
    cluster.end().await?;
    kafka.kill().map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_counts_does_not_count_a_retry_of_what_stands() -> Result<()> {
    let guard = "capabilities = { kv = true }\nsettings = { rate = { messages = 2, per = \"1h\" } }";
    let guard = plugin("flood-guard", "flood-guard", guard)?;
    let embedded = Embedded::start(&format!("{guard}[[chain]]\nplugins = [\"flood-guard\"]\n")).await?;
    let ada = Client::connect(&embedded.hub.listen, "ada").await?;
    let first = ada.say("lobby", "k1", "one").await?.unwrap();
    for _ in 0..5 {
        assert_eq!(ada.say("lobby", "k1", "one").await?.unwrap(), first, "a retry gets the receipt");
    }
    ada.say("lobby", "k2", "two").await?.unwrap();
    let third = ada.say("lobby", "k3", "three").await?.unwrap_err();
    assert_eq!(third["code"], 429, "the guard counts: {third}");
    Ok(())
}
