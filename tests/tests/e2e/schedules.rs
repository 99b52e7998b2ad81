//! Schedules that naive code gets wrong, one test each.

use crate::faults::{own_kafka, own_redis};
use anyhow::Result;
use confab_tests::client::{Client, say_many};
use confab_tests::world::{Cluster, Embedded, Plan, plugin};
use confab_tests::{eventually, topic};
use serde_json::{Value, json};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn no_receipt_before_the_record_is_durable_even_if_the_hub_and_redis_die_meanwhile() -> Result<()> {
    let folder = TempDir::with_prefix("confab-own-")?;
    let (mut kafka, mut redis) = (own_kafka(&folder).await?, own_redis(&folder).await?);
    let plan = Plan {
        kafka: Some(kafka.address()),
        redis: Some(redis.address()),
        more: "\n[limits]\nsend_deadline = \"2s\"\n".to_owned(),
        ..Plan::default()
    };
    let mut cluster = Cluster::planned(plan).await?;
    let on_a = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let on_b = Client::connect(&cluster.hubs[1].listen, "ada").await?;
    on_a.say("lobby", "warm", "everything works").await?.unwrap();
    // A's produce hangs …
    kafka.pause()?;
    assert_eq!(on_a.say("lobby", "k1", "hanging").await?.unwrap_err()["temporary"], true);
    // … the client retries on B …
    let retried = on_b.say("lobby", "k1", "hanging").await?.unwrap_err();
    assert_eq!(retried["temporary"], true, "{retried}");
    // … A and Redis die.
    cluster.hubs[0].kill()?;
    redis.kill()?;
    redis.restart_empty()?;
    let still = on_b.say("lobby", "k1", "hanging").await?.unwrap_err();
    assert_eq!(still["temporary"], true, "no receipt: Kafka is still away: {still}");
    kafka.resume()?;
    let receipt =
        eventually("the retry gets a receipt", async || on_b.say("lobby", "k1", "hanging").await.ok()?.ok()).await;
    let records = topic::records(&cluster.kafka, &format!("{}-events", cluster.prefix)).await?;
    assert!(records.iter().any(|record| receipt["id"] == record.id.as_str()), "what has a receipt is in the journal");
    let messages = eventually("it is stored", async || {
        let rows = cluster.messages().await.ok()?;
        rows.iter().any(|row| row.key == "k1").then_some(rows)
    })
    .await;
    assert_eq!(messages.iter().filter(|row| row.key == "k1").count(), 1, "said once");
    assert_eq!(on_b.say("lobby", "k1", "hanging").await?.unwrap(), receipt);
    cluster.end().await?;
    kafka.kill()?;
    redis.kill().map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn when_kafka_times_out_after_the_relay_the_retry_gets_the_one_receipt() -> Result<()> {
    let folder = TempDir::with_prefix("confab-own-")?;
    let mut kafka = own_kafka(&folder).await?;
    let more = "\n[limits]\nsend_deadline = \"2s\"\n".to_owned();
    let cluster = Cluster::planned(Plan { kafka: Some(kafka.address()), more, ..Plan::default() }).await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let mut bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    bob.subscribe("lobby", None).await?.unwrap();
    ada.say("lobby", "warm", "everything works").await?.unwrap();
    assert_eq!(bob.publication().await?["pub"]["offset"], 1);
    kafka.pause()?;
    let unknown = ada.say("lobby", "k1", "heard, not yet kept").await?.unwrap_err();
    assert_eq!((&unknown["code"], &unknown["temporary"]), (&json!(202), &json!(true)));
    let heard = bob.publication().await?;
    assert_eq!(heard["pub"]["data"]["text"], "heard, not yet kept");
    kafka.resume()?;
    let receipt = eventually("the retry gets the receipt", async || {
        ada.say("lobby", "k1", "heard, not yet kept").await.ok()?.ok()
    })
    .await;
    assert_eq!(receipt["id"], heard["pub"]["tags"]["id"]);
    assert_eq!(receipt["offset"], 2);
    ada.say("lobby", "k2", "next").await?.unwrap();
    assert_eq!(bob.publication().await?["pub"]["offset"], 3, "heard once");
    cluster.end().await?;
    kafka.kill().map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_window_overflowed_while_the_consumer_slept_is_told_to_wait_and_then_gets_everything()
-> Result<()> {
    let rooms = "\n[[room]]\nmatch = [\"small:*\"]\nhot_window = { events = 20 }\n";
    let mut cluster = Cluster::start(rooms).await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let epoch = ada.subscribe("small:1", None).await?.unwrap()["epoch"].as_str().unwrap().to_owned();
    assert!(cluster.consumer.stop()?.success());
    for n in 1..=200 {
        ada.say("small:1", &format!("k{n}"), &format!("message {n}")).await?.unwrap();
    }
    let back = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    let behind = back.subscribe("small:1", Some((&epoch, 5))).await?.unwrap_err();
    assert_eq!((&behind["code"], &behind["temporary"]), (&json!(200), &json!(true)));
    let paging =
        back.rpc("history", json!({"room": "small:1", "since": {"epoch": epoch, "offset": 5}})).await?.unwrap_err();
    assert_eq!(paging["code"], 200);
    cluster.consumer.start().await?;
    let joined =
        eventually("the client recovers", async || back.subscribe("small:1", Some((&epoch, 5))).await.ok()?.ok()).await;
    assert_eq!(joined["recovered"], true);
    let offsets: Vec<_> =
        joined["publications"].as_array().unwrap().iter().map(|p| p["offset"].as_u64().unwrap()).collect();
    assert_eq!(offsets, (6..=200).collect::<Vec<_>>());
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_says_hello_and_world_is_heard_saying_hello_and_world() -> Result<()> {
    let slow = plugin("slow", "misbehave", "timeout = \"2s\"\nsettings = { mode = \"by-text\", n = 30 }")?;
    let world = Embedded::start(&format!("{slow}[[chain]]\nplugins = [\"slow\"]\n")).await?;
    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    ada.subscribe("lobby", None).await?.unwrap();
    for round in 0..5 {
        let hello = ada.begin_rpc("send", json!({"room": "lobby", "body": {"text": "spin"}}));
        let world = ada.begin_rpc("send", json!({"room": "lobby", "body": {"text": "world"}}));
        let (hello, world) = tokio::join!(hello, world);
        assert_eq!(hello?.unwrap()["offset"], 2 * round + 1);
        assert_eq!(world?.unwrap()["offset"], 2 * round + 2);
        assert_eq!(ada.publication().await?["pub"]["data"]["text"], "spin");
        assert_eq!(ada.publication().await?["pub"]["data"]["text"], "world");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_is_refused_lets_nobody_pass_those_before_it() -> Result<()> {
    let refuses = plugin("refuses", "word-filter", "settings = { words = [\"forbidden\"], action = \"reject\" }")?;
    let slow = plugin("slow", "misbehave", "timeout = \"2s\"\nsettings = { mode = \"by-text\", n = 30 }")?;
    let world = Embedded::start(&format!("{refuses}{slow}[[chain]]\nplugins = [\"refuses\", \"slow\"]\n")).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    for round in 0..5 {
        let say = |text: &str| ada.begin_rpc("send", json!({"room": "lobby", "body": {"text": text}}));
        let (slow, refused, quick) = tokio::join!(say("spin"), say("forbidden"), say("world"));
        assert!(refused?.is_err());
        assert_eq!(slow?.unwrap()["offset"], 2 * round + 1);
        assert_eq!(quick?.unwrap()["offset"], 2 * round + 2);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_in_a_lost_generation_is_waited_for_also_in_a_room_where_nobody_speaks_again()
-> Result<()> {
    let folder = TempDir::with_prefix("confab-own-")?;
    let mut redis = own_redis(&folder).await?;
    let mut cluster = Cluster::planned(Plan { redis: Some(redis.address()), hubs: 1, ..Plan::default() }).await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let first = ada.say("lobby", "k1", "message 1").await?.unwrap();
    say_many(&ada, "lobby", 2..=4).await?;
    eventually("four are stored", async || cluster.events().await.ok().filter(|rows| rows.len() == 4)).await;
    assert!(cluster.consumer.stop()?.success());
    say_many(&ada, "lobby", 5..=30).await?;
    redis.kill()?;
    redis.restart_empty()?;
    let ask = async |more: Value| {
        let mut asked = json!({"room": "lobby", "limit": 100});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ada.rpc("history", asked).await
    };
    let since = json!({"epoch": first["epoch"], "offset": 4});
    eventually("the room goes on in another epoch", async || {
        let joined = ada.subscribe("lobby", None).await.ok()?.ok()?;
        ada.ask("unsubscribe", json!({"channel": "lobby"})).await.ok()?.ok()?;
        (joined["epoch"] != first["epoch"]).then_some(())
    })
    .await;
    for more in [json!({"reverse": true}), json!({"since": since})] {
        let behind = ask(more.clone()).await?.expect_err("a page that passes what was acknowledged");
        assert_eq!((&behind["code"], &behind["temporary"]), (&json!(200), &json!(true)), "{more}");
    }
    cluster.consumer.start().await?;
    let offsets = |page: Value| {
        assert_eq!(page["next"], Value::Null, "{page}");
        page["events"].as_array().unwrap().iter().map(|one| one["offset"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let back = eventually("it is read", async || ask(json!({"reverse": true})).await.ok()?.ok()).await;
    assert_eq!(offsets(back), (1..=30).rev().collect::<Vec<_>>());
    assert_eq!(ask(json!({"since": {"epoch": first["epoch"], "offset": 30}})).await?.unwrap()["events"], json!([]));
    cluster.end().await?;
    redis.kill().map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_kafka_would_not_take_is_refused_before_anybody_hears_it() -> Result<()> {
    let more = "\n[limits]\nbody = \"2 MiB\"\nframe = \"4 MiB\"\noutbox = \"16 MiB\"\n".to_owned();
    let mut cluster = Cluster::planned(Plan { more, hubs: 1, ..Plan::default() }).await?;
    let large = "x".repeat(1_500_000);
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let first = ada.say("lobby", "k1", &large).await?.expect("the largest bodies are journaled as all others");
    assert_eq!(first["offset"], 1);
    eventually("it is stored", async || cluster.events().await.ok().filter(|rows| rows.len() == 1)).await;

    // Somebody makes the topic smaller than what may be said.
    topic::limit_messages(&cluster.kafka, &format!("{}-events", cluster.prefix), 1_000_000).await?;
    tokio::task::block_in_place(|| cluster.hubs[0].stop())?;
    cluster.hubs[0].start().await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let mut bob = Client::connect(&cluster.hubs[0].listen, "bob").await?;
    bob.subscribe("lobby", None).await?.unwrap();
    let refused = ada.say("lobby", "k2", &large).await?.unwrap_err();
    assert_eq!((&refused["code"], &refused["temporary"]), (&json!(106), &Value::Null), "{refused}");
    let next = ada.say("lobby", "k3", "small").await?.unwrap();
    assert_eq!(next["offset"], 2, "the refused one has no place");
    let heard = bob.publication().await?;
    assert_eq!((&heard["pub"]["offset"], &heard["pub"]["data"]["text"]), (&json!(2), &json!("small")));
    eventually("the room's past goes on", async || cluster.events().await.ok().filter(|rows| rows.len() == 2)).await;
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reacts_to_what_was_deleted_while_the_store_does_not_know_it() -> Result<()> {
    let rooms = "\n[[room]]\nmatch = [\"small:*\"]\nhot_window = { events = 20 }\n";
    let mut cluster = Cluster::planned(Plan { more: rooms.to_owned(), hubs: 1, ..Plan::default() }).await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let said = ada.say("small:1", "k1", "a secret").await?.unwrap();
    say_many(&ada, "small:1", 2..=40).await?;
    eventually("all are stored", async || cluster.events().await.ok().filter(|rows| rows.len() == 40)).await;
    assert!(cluster.consumer.stop()?.success());
    let target = json!({"room": "small:1", "key": "k2", "target": said["id"]});
    ada.rpc("delete", target).await?.unwrap();
    let reaction = json!({"room": "small:1", "key": "k3", "target": said["id"], "reaction": "👍"});
    let refused = ada.rpc("react", reaction).await?.expect_err("a reaction to what is gone");
    assert_eq!(refused["code"], 209, "{refused}");
    cluster.end().await
}
