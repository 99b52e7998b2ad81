//! Retention: what is too old goes, from what is at hand and from what is stored, and clients are told where a room begins.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::process::Running;
use confab_tests::world::{Cluster, Embedded};
use serde_json::{Value, json};

const RULES: &str = "\n[store]\nretention = \"3s\"\n[[room]]\nmatch = [\"kept\"]\nretention = \"0s\"\n";

async fn history(client: &Client, room: &str, since: Value) -> Result<Value> {
    client.rpc("history", json!({"room": room, "limit": 100, "since": since})).await?.ok().context("a page")
}

/// People talk in two rooms, and one of them forgets.
async fn one_room_forgets_and_the_other_does_not(hub: &Running) -> Result<()> {
    let ada = Client::connect(&hub.listen, "ada").await?;
    let joined = ada.subscribe("lobby", None).await?.unwrap();
    let epoch = joined["epoch"].as_str().context("an epoch")?;
    let first = ada.say("lobby", "k1", "one").await?.unwrap();
    ada.say("lobby", "k2", "two").await?.unwrap();
    ada.say("kept", "k1", "one").await?.unwrap();
    let beginning = json!({"epoch": epoch, "offset": 0});
    let begins_later = async || {
        let page = history(&ada, "lobby", beginning.clone()).await.ok()?;
        (page["events"] == json!([]) && page["oldest"]["offset"] == 3).then_some(page)
    };
    let page = eventually("what was said is gone, and that is told", begins_later).await;
    assert_eq!((&page["oldest"]["epoch"], &page["next"]), (&json!(epoch), &Value::Null), "{page}");
    let backwards = ada.rpc("history", json!({"room": "lobby", "limit": 10, "reverse": true})).await?.unwrap();
    assert_eq!((&backwards["events"], &backwards["next"]), (&json!([]), &Value::Null), "{backwards}");

    let third = ada.say("lobby", "k3", "three").await?.unwrap();
    assert_eq!((&third["offset"], &third["epoch"]), (&json!(3), &first["epoch"]), "offsets go on");
    let bob = Client::connect(&hub.listen, "bob").await?;
    let back = bob.subscribe("lobby", Some((epoch, 0))).await?.unwrap();
    assert_ne!(back["recovered"], true, "what he missed is not kept any more: {back}");
    let carol = Client::connect(&hub.listen, "carol").await?;
    let back = carol.subscribe("lobby", Some((epoch, 2))).await?.unwrap();
    assert_eq!(back["recovered"], true, "she missed only what is kept: {back}");
    let page = history(&ada, "kept", beginning).await?;
    assert_eq!((page["events"].as_array().map(Vec::len), &page["oldest"]), (Some(1), &Value::Null), "{page}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_of_an_embedded_hub_forgets_and_goes_on_after_a_restart() -> Result<()> {
    let mut embedded = Embedded::start(RULES).await?;
    one_room_forgets_and_the_other_does_not(&embedded.hub).await?;
    let removed = embedded.hub.metric("confab_store_removed_rows_total{table=\"events\"}").await?;
    assert!(removed >= 2.0, "{removed}");
    assert!(embedded.hub.metric("confab_store_oldest_timestamp_seconds").await? > 1.7e9);
    embedded.hub.stop()?;
    embedded.hub.start().await?;
    let ada = Client::connect(&embedded.hub.listen, "ada").await?;
    let said = ada.say("lobby", "k4", "four").await?.unwrap();
    assert_eq!(said["offset"], 4, "no offset is given twice, whatever was removed: {said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_of_a_cluster_forgets() -> Result<()> {
    let cluster = Cluster::start(RULES).await?;
    one_room_forgets_and_the_other_does_not(&cluster.hubs[0]).await?;
    let old = "select count(*) from messages where room = 'lobby' and key in ('k1', 'k2')";
    let left: i64 = sqlx::query_scalar(old).fetch_one(&mut cluster.sql().await?).await?;
    assert_eq!(left, 0, "nor does the database know what was said");
    cluster.end().await
}
