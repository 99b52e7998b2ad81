//! A place whose record never came into the store, because Kafka lost it.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::world::{Cluster, Embedded};
use confab_tests::{eventually, topic};
use serde_json::{Value, json};
use tokio::task::block_in_place;

fn lost(cluster: &Cluster, arguments: &[&str]) -> Result<Value> {
    let arguments = [&["lost"], arguments, &["--json"]].concat();
    let (status, out, err) = block_in_place(|| cluster.hubs[0].verb(&arguments))?;
    serde_json::from_str(&out).with_context(|| format!("{arguments:?}: {status} {out}{err}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_kafka_lost_is_listed_and_once_closed_the_room_is_read_past_it() -> Result<()> {
    let mut cluster = Cluster::start("\n[[room]]\nmatch = [\"lobby\"]\nhot_window = { events = 1 }\n").await?;
    assert_eq!(lost(&cluster, &["list"])?, json!({"rooms": [], "more": false}));
    block_in_place(|| cluster.consumer.stop())?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let mut said = vec![ada.say("lobby", "k1", "one").await?.unwrap(), ada.say("lobby", "k2", "two").await?.unwrap()];
    topic::lose_records(&cluster.kafka, &format!("{}-events", cluster.prefix)).await?;
    for n in 3..=5 {
        said.push(ada.say("lobby", &format!("k{n}"), "later").await?.unwrap());
    }
    cluster.consumer.launch()?;
    let found =
        || lost(&cluster, &["list"]).ok().map(|found| found["rooms"][0].clone()).filter(|room| room["top"] == 5);
    let room = eventually("the room is listed", async || found()).await;
    let (epoch, since) = (&said[0]["epoch"], &said[2]["at"]);
    assert_eq!(room, json!({"room": "lobby", "epoch": epoch, "first": 1, "last": 2, "top": 5, "since": since}));
    let from_start = json!({"room": "lobby", "limit": 10, "since": {"epoch": epoch, "offset": 0}});
    let refused = ada.rpc("history", from_start.clone()).await?.unwrap_err();
    assert_eq!(refused["code"], 200, "nobody is given what only looks complete: {refused}");

    assert_eq!(lost(&cluster, &["close", "lobby"])?["closed"], json!([]), "it is too young to be given up");
    let closed = lost(&cluster, &["close", "lobby", "--older-than", "0s", "--reason", "the disk is gone"])?;
    assert_eq!(closed, json!({"closed": [{"epoch": epoch, "first": 1, "last": 2}], "left": null}));
    assert_eq!(lost(&cluster, &["list"])?["rooms"], json!([]));
    let page = ada.rpc("history", from_start).await?.unwrap();
    let ids: Vec<_> = page["events"].as_array().context("events")?.iter().map(|event| &event["id"]).collect();
    assert_eq!(ids, said[2..].iter().map(|receipt| &receipt["id"]).collect::<Vec<_>>(), "{page}");
    let bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    let back = bob.subscribe("lobby", Some((epoch.as_str().context("an epoch")?, 0))).await?.unwrap();
    assert_ne!(back["recovered"], true, "nobody is told that nothing is missing: {back}");

    let written = "select room || ' ' || reason || ' ' || result from audit where verb = 'close_lost'";
    let acts: Vec<String> = sqlx::query_scalar(written).fetch_all(&mut cluster.sql().await?).await?;
    assert_eq!(acts, ["lobby the disk is gone ok"]);
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_hub_says_that_it_misses_no_place() -> Result<()> {
    let embedded = Embedded::prepared("")?;
    let (status, _, err) = block_in_place(|| embedded.hub.verb(&["lost", "list"]))?;
    assert!(status.code() == Some(78) && err.contains("embedded"), "{err}");
    Ok(())
}
