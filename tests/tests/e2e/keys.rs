//! Sent twice is said once.

use anyhow::Result;
use confab_tests::client::Client;
use confab_tests::world::{Cluster, Embedded, Plan, plugin};
use confab_tests::{eventually, topic};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_sent_to_both_hubs_at_once_gives_one_message_and_two_equal_receipts() -> Result<()> {
    let cluster = Cluster::start("").await?;
    let ada = [
        Client::connect(&cluster.hubs[0].listen, "ada").await?,
        Client::connect(&cluster.hubs[1].listen, "ada").await?,
    ];
    let mut bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    bob.subscribe("lobby", None).await?.unwrap();
    for n in 0..100 {
        let send = |client: &Client| {
            client.begin_rpc(
                "send",
                json!({"room": "lobby", "key": format!("k{n}"), "body": {"text": format!("once {n}")}}),
            )
        };
        let (first, second) = tokio::join!(send(&ada[0]), send(&ada[1]));
        assert_eq!(first?.unwrap(), second?.unwrap());
        assert_eq!(bob.publication().await?["pub"]["offset"], n + 1);
    }
    let records = topic::records(&cluster.kafka, &format!("{}-events", cluster.prefix)).await?;
    assert_eq!(records.len(), 100);
    let other = ada[1].say("lobby", "k0", "something else").await?.unwrap_err();
    assert_eq!((&other["code"], other.get("temporary")), (&json!(201), None));
    let else_ = Client::connect(&cluster.hubs[0].listen, "eve").await?.say("lobby", "k0", "my own key").await?;
    assert_eq!(else_.unwrap()["offset"], 101, "another sender's key is another key");
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_the_window_is_heard_again_and_stored_once() -> Result<()> {
    let more = "\n[limits]\ndedupe_window = \"3s\"\nsend_deadline = \"2s\"\n".to_owned();
    let cluster = Cluster::planned(Plan { more, delivery_timeout: "2s", ..Plan::default() }).await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let first = ada.say("lobby", "k1", "late").await?.unwrap();
    let second = eventually("the key is forgotten", async || {
        let again = ada.say("lobby", "k1", "late").await.ok()?.ok()?;
        (again != first).then_some(again)
    })
    .await;
    eventually("both are stored", async || cluster.events().await.ok().filter(|rows| rows.len() >= 2)).await;
    let messages = cluster.messages().await?;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].id, first["id"].as_str().unwrap());
    let page = ada.rpc("history", json!({"room": "lobby"})).await?.unwrap();
    let ids: Vec<_> = page["events"].as_array().unwrap().iter().map(|event| &event["id"]).collect();
    assert!(ids.contains(&&first["id"]) && ids.contains(&&second["id"]), "both receipts resolve");
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_what_stands_gets_its_receipt_though_it_could_not_be_said_any_more() -> Result<()> {
    let world = Embedded::start("").await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let said = ada.say("lobby", "k1", "a slip").await?.unwrap();
    let edit = json!({"room": "lobby", "key": "k2", "target": said["id"], "body": {"text": "mended"}});
    let react = json!({"room": "lobby", "key": "k3", "target": said["id"], "reaction": "👍"});
    let edited = ada.rpc("edit", edit.clone()).await?.unwrap();
    let reacted = ada.rpc("react", react.clone()).await?.unwrap();
    ada.rpc("delete", json!({"room": "lobby", "key": "k4", "target": said["id"]})).await?.unwrap();
    assert_eq!(ada.rpc("edit", edit).await?.unwrap(), edited, "the edit stands, though its target is deleted");
    assert_eq!(ada.rpc("react", react).await?.unwrap(), reacted, "and the reaction");
    let late = json!({"room": "lobby", "key": "k5", "target": said["id"], "body": {"text": "too late"}});
    assert_eq!(ada.rpc("edit", late).await?.unwrap_err()["code"], 209, "a new one is refused");
    let reserved = json!({"room": "lobby", "key": "approved:1", "body": {"text": "mine"}});
    assert_eq!(ada.rpc("send", reserved).await?.unwrap_err()["code"], 107, "nobody asks after an approval");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugins_refusal_is_remembered_for_the_retry() -> Result<()> {
    let filter =
        plugin("no-spam", "word-filter", "settings = { words = [\"spam\"], action = \"reject\", code = 455 }")?;
    let world = Embedded::start(&format!("{filter}[[chain]]\nplugins = [\"no-spam\"]\n")).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let first = ada.say("lobby", "k1", "spam").await?.unwrap_err();
    assert_eq!(first["code"], 455);
    assert_eq!(ada.say("lobby", "k1", "spam").await?.unwrap_err(), first);
    assert_eq!(
        ada.say("lobby", "k1", "no longer").await?.unwrap_err()["code"],
        201,
        "another draft under the same key"
    );
    Ok(())
}
