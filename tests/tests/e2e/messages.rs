//! The verb `messages`: what was said in a room as it is now, whatever the store lags behind.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::world::{Cluster, Embedded};
use serde_json::{Value, json};

async fn page(client: &Client, arguments: Value) -> Result<Value> {
    client.rpc("messages", arguments).await?.ok().context("a page")
}

fn texts(page: &Value) -> Vec<String> {
    let text = |message: &Value| message["body"]["text"].as_str().unwrap_or("-").to_owned();
    page["messages"].as_array().into_iter().flatten().map(text).collect()
}

/// Says three things, edits, reacts and deletes, and looks at the page as a reader.
async fn is_as_it_is_now(ada: &Client, bob: &Client, reader: &Client) -> Result<()> {
    let mut ids = Vec::new();
    for (key, text) in [("k1", "one"), ("k2", "two"), ("k3", "three")] {
        ids.push(ada.say("lobby", key, text).await?.unwrap()["id"].clone());
    }
    ada.rpc("edit", json!({"room": "lobby", "key": "e", "target": ids[1], "body": {"text": "two, edited"}}))
        .await?
        .unwrap();
    ada.rpc("delete", json!({"room": "lobby", "key": "d", "target": ids[2]})).await?.unwrap();
    for (who, key) in [(ada, "r1"), (bob, "r2")] {
        who.rpc("react", json!({"room": "lobby", "key": key, "target": ids[0], "reaction": "+1"})).await?.unwrap();
    }
    bob.say("lobby", "k4", "four").await?.unwrap();

    let newest = page(reader, json!({"room": "lobby"})).await?;
    assert_eq!(texts(&newest), ["four", "-", "two, edited", "one"], "{newest}");
    let messages = newest["messages"].as_array().context("messages")?;
    assert_eq!((&messages[1]["deleted"], &messages[1]["body"]), (&json!(true), &Value::Null), "no word of it is left");
    assert!(messages[2]["edited_at"].is_u64() && messages[2]["id"] == ids[1]);
    assert_eq!(messages[3]["reactions"], json!([{"reaction": "+1", "count": 2, "own": false}]));
    let own = page(bob, json!({"room": "lobby", "limit": 100})).await?;
    assert_eq!(own["messages"][3]["reactions"][0]["own"], true, "{own}");

    let first = page(reader, json!({"room": "lobby", "limit": 2})).await?;
    assert_eq!(texts(&first), ["four", "-"]);
    let older = page(reader, json!({"room": "lobby", "limit": 10, "before": first["next"]})).await?;
    assert_eq!(
        (texts(&older), &older["next"]),
        (vec!["two, edited".to_owned(), "one".to_owned()], &Value::Null),
        "{older}"
    );
    for wrong in [json!({"room": "lobby", "limit": 0}), json!({"room": "lobby", "around": 1}), json!({})] {
        let refused = reader.rpc("messages", wrong.clone()).await?.unwrap_err();
        assert_eq!(refused["code"], 107, "{wrong}: {refused}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_messages_is_as_the_room_is_now() -> Result<()> {
    let embedded = Embedded::start("").await?;
    let [ada, bob, carol] = ["ada", "bob", "carol"].map(|user| Client::connect(&embedded.hub.listen, user));
    is_as_it_is_now(&ada.await?, &bob.await?, &carol.await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_messages_is_as_the_room_is_now_although_the_consumer_is_stopped() -> Result<()> {
    let mut cluster = Cluster::start("").await?;
    cluster.consumer.stop()?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    let carol = Client::connect(&cluster.hubs[1].listen, "carol").await?;
    is_as_it_is_now(&ada, &bob, &carol).await?;
    cluster.end().await
}
