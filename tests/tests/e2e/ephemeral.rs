//! What plugins say of those who join, leave and type.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::polling::Polling;
use confab_tests::world::{Cluster, Embedded, Plan, plugin};
use serde_json::{Value, json};

fn asks(on: &str, settings: &str) -> Result<String> {
    let asks = format!("timeout = \"2s\"\ncapabilities = {{ emit = true }}\nsettings = {{ {settings} }}");
    Ok(format!(
        "{}[[chain]]\nrooms = [\"judged\"]\non = [{on}]\nplugins = [\"asks\"]\n",
        plugin("asks", "asks", &asks)?
    ))
}

/// The next push that is a publication of this type.
async fn of_type(client: &mut Client, kind: &str) -> Result<Value> {
    loop {
        let heard = client.publication().await?;
        if heard["pub"]["tags"]["type"] == kind {
            return Ok(heard);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_a_plugin_refuses_is_refused_with_its_code_in_both_dialects() -> Result<()> {
    let world =
        Embedded::start(&asks("\"join\"", "join = \"notice not here; flag somebody tried; reject 460 full house\"")?)
            .await?;
    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    let refused = ada.subscribe("judged", None).await?.unwrap_err();
    assert_eq!((&refused["code"], &refused["message"]), (&json!(460), &json!("full house")));
    let told = ada.push().await?;
    assert_eq!(told["message"]["data"]["text"], "not here");
    ada.subscribe("elsewhere", None).await?.unwrap();
    let mut bob = Polling::connect(&world.hub.listen, "bob").await?;
    assert_eq!(bob.ask("join", json!({"room": "judged"})).await?["error"]["code"], 460);
    let refused = "confab_ephemeral_events_total{kind=\"join\",outcome=\"plugin\"}";
    assert_eq!(world.hub.metric(refused).await?, 2.0);
    eventually("both are flagged", async || {
        let (_, out, _) = world.hub.verb(&["flag", "list", "--json"]).ok()?;
        (serde_json::from_str::<Value>(&out).ok()?.as_array()?.len() == 2).then_some(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_let_in_is_greeted_and_whoever_leaves_is_missed() -> Result<()> {
    let settings = "join = \"say welcome\", leave = \"say farewell; reject 460 stay; mute 600 you left\"";
    let world = Embedded::start(&asks("\"join\", \"leave\"", settings)?).await?;
    let mut bob = Client::connect(&world.hub.listen, "bob").await?;
    bob.subscribe("judged", None).await?.unwrap();
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    ada.subscribe("judged", None).await?.unwrap();
    for _ in 0..2 {
        let heard = bob.publication().await?;
        assert_eq!(
            (&heard["pub"]["data"]["text"], &heard["pub"]["info"]["user"]),
            (&json!("welcome"), &json!("plugin:asks"))
        );
    }
    ada.ask("unsubscribe", json!({"channel": "judged"})).await?.unwrap();
    assert_eq!(bob.publication().await?["pub"]["data"]["text"], "farewell");
    eventually("only effects follow", async || {
        let refused = ada.say("judged", "k", "hello").await.ok()?.err()?;
        (refused["code"] == 210).then_some(())
    })
    .await;
    let mut noor = Polling::connect(&world.hub.listen, "noor").await?;
    assert_eq!(noor.ask("join", json!({"room": "judged"})).await?["ok"], true);
    assert_eq!(bob.publication().await?["pub"]["data"]["text"], "welcome");
    noor.post("1").await?; // a session that ends leaves all of its rooms
    assert_eq!(bob.publication().await?["pub"]["data"]["text"], "farewell");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_for_a_join_is_a_fault() -> Result<()> {
    let world = Embedded::start(&asks("\"join\"", "join = \"hold let me think\"")?).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    assert_eq!(ada.subscribe("judged", None).await?.unwrap_err()["code"], 207);
    assert_eq!(world.hub.metric("confab_plugin_faults_total{plugin=\"asks\",fault=\"nonsense\"}").await?, 1.0);
    Ok(())
}

async fn typing_story(a: &str, b: &str) -> Result<()> {
    let mut ada = Client::connect(a, "ada").await?;
    let mut bob = Client::connect(b, "bob").await?;
    let mut noor = Polling::connect(b, "noor").await?;
    ada.subscribe("lobby", None).await?.unwrap();
    bob.subscribe("lobby", None).await?.unwrap();
    assert_eq!(noor.ask("join", json!({"room": "lobby"})).await?["ok"], true);
    ada.rpc("typing", json!({"room": "lobby"})).await?.unwrap();
    let heard = of_type(&mut bob, "typing").await?;
    assert_eq!((&heard["channel"], &heard["pub"]["info"]["user"]), (&json!("lobby"), &json!("ada")));
    assert_eq!((heard["pub"].get("offset"), &heard["pub"]["data"]), (None, &Value::Null), "it takes no place");
    let heard = noor.heard("typing").await?;
    assert_eq!((&heard["room"], &heard["user"]), (&json!("lobby"), &json!("ada")));
    assert_eq!(noor.ask("typing", json!({"room": "lobby"})).await?["ok"], true);
    assert_eq!(of_type(&mut bob, "typing").await?["pub"]["info"]["user"], "noor");
    // What ada hears first is somebody else: her own session is not told.
    assert_eq!(of_type(&mut ada, "typing").await?["pub"]["info"]["user"], "noor");
    let said = ada.say("lobby", "k", "hello").await?.unwrap();
    assert_eq!(said["offset"], 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_are_told_who_is_typing() -> Result<()> {
    let world = Embedded::start("").await?;
    typing_story(&world.hub.listen, &world.hub.listen).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_are_told_who_is_typing_on_every_hub() -> Result<()> {
    let world = Cluster::planned(Plan::default()).await?;
    typing_story(&world.hubs[0].listen, &world.hubs[1].listen).await?;
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_is_judged_bounded_and_not_for_those_who_may_not_speak() -> Result<()> {
    let world = Embedded::start(&asks("\"typing\"", "typing = \"reject 461 no fidgeting\"")?).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let mut bob = Client::connect(&world.hub.listen, "bob").await?;
    for room in ["judged", "lobby"] {
        bob.subscribe(room, None).await?.unwrap();
    }
    assert_eq!(ada.rpc("typing", json!({"room": "judged"})).await?.unwrap_err()["code"], 461);
    let mut refused = None;
    for _ in 0..20 {
        refused = refused.or(ada.rpc("typing", json!({"room": "lobby"})).await?.err());
    }
    assert_eq!(refused.context("somebody who types so much is told")?["code"], 111);
    let heard = of_type(&mut bob, "typing").await?;
    assert_eq!(heard["channel"], "lobby", "what was refused is not told");
    let (status, _, err) = world.hub.verb(&["mute", "set", "lobby", "noor"])?;
    assert!(status.success(), "{err}");
    let noor = Client::connect(&world.hub.listen, "noor").await?;
    assert_eq!(noor.rpc("typing", json!({"room": "lobby"})).await?.unwrap_err()["code"], 210);
    Ok(())
}
