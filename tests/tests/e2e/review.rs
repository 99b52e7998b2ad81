//! Held events: moderators list them and decide, and the sender learns of it.

use anyhow::{Context, Result};
use confab_tests::client::{Answer, Client};
use confab_tests::proxy::{Fault, Proxy};
use confab_tests::world::{Cluster, Embedded, Plan, authority, plugin, service};
use confab_tests::{eventually, topic};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

const SECRET: &str = "a secret of the tests, long enough";

fn holding() -> Result<String> {
    let holds = plugin("holds", "misbehave", "timeout = \"2s\"\nsettings = { mode = \"hold\" }")?;
    Ok(format!("{holds}[[chain]]\nrooms = [\"held\"]\nplugins = [\"holds\"]\n"))
}

async fn world() -> Result<Embedded> {
    Embedded::start(&format!("hmac_secret = \"{SECRET}\"\n{}", holding()?)).await
}

/// Connects with a token that names these roles.
async fn connect(listen: &str, user: &str, roles: &[&str]) -> Result<Client> {
    let claims = json!({"sub": user, "roles": roles});
    let token = jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes()))?;
    let client = Client::open(listen).await?;
    client.ask("connect", json!({"token": token})).await?.unwrap();
    Ok(client)
}

/// Says something that is held, and gives its id.
async fn held(client: &Client, key: &str) -> Result<String> {
    let refused = client.say("held", key, key).await?.unwrap_err();
    assert_eq!(refused["code"], 206, "{refused}");
    let message = refused["message"].as_str().context("a refusal says why")?;
    let id = message.split(' ').nth(4).context("it names the event")?;
    Ok(id.trim_end_matches(':').to_owned())
}

/// The next message outside of any room.
async fn told(client: &mut Client) -> Result<Value> {
    loop {
        if let Some(message) = client.push().await?.get_mut("message") {
            return Ok(message["data"].take());
        }
    }
}

async fn review(client: &Client, arguments: Value) -> Result<Answer> {
    client.rpc("review", arguments).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moderator_decides_and_the_sender_learns_of_both_decisions() -> Result<()> {
    let world = world().await?;
    let mut ada = connect(&world.hub.listen, "ada", &[]).await?;
    let mut again = connect(&world.hub.listen, "ada", &[]).await?;
    let mia = connect(&world.hub.listen, "mia", &["moderator"]).await?;
    ada.subscribe("held", None).await?.unwrap();
    let (first, second) = (held(&ada, "k1").await?, held(&ada, "k2").await?);

    let listed = review(&mia, json!({"op": "list"})).await?.unwrap();
    let ids: Vec<&Value> = listed["held"].as_array().unwrap().iter().map(|held| &held["id"]).collect();
    assert_eq!(ids, [&json!(first), &json!(second)]);
    assert_eq!(review(&mia, json!({"op": "list", "room": "other"})).await?.unwrap()["held"], json!([]));
    let at = listed["held"][0]["event"]["at"].clone();

    let receipt = review(&mia, json!({"op": "approve", "id": first})).await?.unwrap();
    assert_eq!(receipt["offset"], 1);
    let heard = ada.publication().await?;
    assert_eq!((&heard["pub"]["tags"]["id"], &heard["pub"]["time"]), (&json!(first), &at), "its own id and time");
    let denied = review(&mia, json!({"op": "deny", "id": second, "reason": "off topic"})).await?.unwrap();
    assert_eq!(denied["state"], "denied");
    let expected = [
        json!({"type": "review", "id": first, "room": "held", "key": "k1", "decision": "approved"}),
        json!({"type": "review", "id": second, "room": "held", "key": "k2", "decision": "denied", "reason": "off topic"}),
    ];
    for message in &expected {
        assert_eq!(&told(&mut again).await?, message, "every session of the sender is told");
    }
    assert_eq!(review(&mia, json!({"op": "list"})).await?.unwrap()["held"], json!([]));
    assert_eq!(world.hub.metric("confab_reviews_total{decision=\"denied\"}").await?, 1.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_moderators_review_and_only_once() -> Result<()> {
    let world = world().await?;
    let ada = connect(&world.hub.listen, "ada", &["member"]).await?;
    let mia = connect(&world.hub.listen, "mia", &["member", "moderator"]).await?;
    let id = held(&ada, "k").await?;
    for arguments in [json!({"op": "list"}), json!({"op": "approve", "id": id}), json!({"op": "deny", "id": id})] {
        assert_eq!(review(&ada, arguments).await?.unwrap_err()["code"], 103);
    }
    review(&mia, json!({"op": "deny", "id": id})).await?.unwrap();
    assert_eq!(review(&mia, json!({"op": "approve", "id": id})).await?.unwrap_err()["code"], 107);
    assert_eq!(review(&mia, json!({"op": "deny", "id": id})).await?.unwrap_err()["code"], 107);
    let unknown = "01890000-0000-7000-8000-000000000000";
    assert_eq!(review(&mia, json!({"op": "approve", "id": unknown})).await?.unwrap_err()["code"], 209);
    for nonsense in
        [json!({"op": "burn"}), json!({"op": "approve"}), json!({"op": "deny", "id": id, "reason": "a\u{0}"})]
    {
        assert_eq!(review(&mia, nonsense).await?.unwrap_err()["code"], 107);
    }
    Ok(())
}

/// Makes Redis forget what keys were used for, as the end of the dedupe window does.
async fn forget_keys(world: &Cluster) -> Result<()> {
    for name in world.keys(":key:").await? {
        world.redis(&["DEL", &name]).await?;
    }
    Ok(())
}

/// Two hubs of which only the second holds what is said in the room `held`, or refuses it there.
async fn unlike(plugins: &str) -> Result<Cluster> {
    let mut world = Cluster::planned(Plan { more: plugins.to_owned(), ..Plan::default() }).await?;
    tokio::task::block_in_place(|| world.hubs[0].stop())?;
    let text = std::fs::read_to_string(world.hubs[0].config())?;
    std::fs::write(world.hubs[0].config(), text.replace("rooms = [\"held\"]", "rooms = [\"elsewhere\"]"))?;
    world.hubs[0].start().await?;
    Ok(world)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_is_held_twice_waits_once_and_is_published_once_however_often_it_is_approved() -> Result<()> {
    let world = Cluster::planned(Plan { more: holding()?, ..Plan::default() }).await?;
    let ada = Client::connect(&world.hubs[0].listen, "ada").await?;
    let mut bob = Client::connect(&world.hubs[1].listen, "bob").await?;
    bob.subscribe("held", None).await?.unwrap();
    let first = held(&ada, "k1").await?;
    forget_keys(&world).await?;
    assert_eq!(held(&other_session(&world).await?, "k1").await?, first, "the other hub holds the same event");
    let approve = |hub: usize| -> Result<Value> {
        let (status, out, err) =
            tokio::task::block_in_place(|| world.hubs[hub].verb(&["held", "approve", &first, "--json"]))?;
        anyhow::ensure!(status.success(), "{out}{err}");
        Ok(serde_json::from_str(&out)?)
    };
    let receipt = approve(0)?;
    assert_eq!(bob.publication().await?["pub"]["tags"]["id"], first);
    eventually("it is stored", async || world.events().await.ok().filter(|rows| rows.len() == 1)).await;
    forget_keys(&world).await?;
    assert_eq!(approve(1)?, receipt, "long after, the first receipt");
    assert_eq!(ada.say("elsewhere", "k2", "the end").await?.unwrap()["offset"], 1);
    assert!(bob.publication_now().is_none(), "it is said once");
    let records = topic::records(&world.kafka, &format!("{}-events", world.prefix)).await?;
    assert_eq!(records.len(), 2);
    world.end().await
}

async fn other_session(world: &Cluster) -> Result<Client> {
    Client::connect(&world.hubs[1].listen, "ada").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_hub_holds_and_another_has_let_through_is_not_published_again() -> Result<()> {
    let world = unlike(&holding()?).await?;
    let (there, here) =
        (Client::connect(&world.hubs[0].listen, "ada").await?, Client::connect(&world.hubs[1].listen, "ada").await?);
    let waits = held(&here, "k1").await?;
    forget_keys(&world).await?;
    let receipt = there.say("held", "k1", "k1").await?.unwrap();
    let (status, out, err) =
        tokio::task::block_in_place(|| world.hubs[1].verb(&["held", "approve", &waits, "--json"]))?;
    assert!(status.success(), "{out}{err}");
    let approved: Value = serde_json::from_str(&out)?;
    assert_eq!((&approved["id"], &approved["offset"]), (&receipt["id"], &receipt["offset"]), "{approved}");
    let records = topic::records(&world.kafka, &format!("{}-events", world.prefix)).await?;
    assert_eq!(records.len(), 1);
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_comes_after_another_hubs_receipt_gives_way_to_it() -> Result<()> {
    let slow = plugin("slow", "misbehave", "timeout = \"4s\"\nsettings = { mode = \"spin\", n = 1500 }")?;
    let refuses =
        plugin("refuses", "word-filter", "settings = { words = [\"spam\"], action = \"reject\", code = 455 }")?;
    let holds = plugin("holds", "misbehave", "timeout = \"2s\"\nsettings = { mode = \"hold\" }")?;
    let chain = "[[chain]]\nrooms = [\"held\"]\nplugins = [\"slow\", \"refuses\", \"holds\"]\n";
    let world = unlike(&format!("{slow}{refuses}{holds}{chain}")).await?;
    let there = Client::connect(&world.hubs[0].listen, "ada").await?;
    let here = Client::connect(&world.hubs[1].listen, "ada").await?;
    for text in ["spam", "to be held"] {
        let judged = here.begin_rpc("send", json!({"room": "held", "key": text, "body": {"text": text}}));
        // The chain there takes a second; when this is answered Redis has been asked what is known of the key.
        here.rpc("history", json!({"room": "held", "limit": 1})).await?.unwrap();
        let receipt = there.say("held", text, text).await?.unwrap();
        let answer = judged.await?.expect("what stands is no refusal");
        assert_eq!((&answer["id"], &answer["offset"]), (&receipt["id"], &receipt["offset"]), "{answer}");
    }
    let (_, out, _) = world.hubs[1].verb(&["held", "list", "--json"])?;
    assert!(!out.contains("to be held"), "nothing waits for a moderator: {out}");
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_survives_every_hub_and_the_sender_is_told_wherever_they_are() -> Result<()> {
    let more = holding()?;
    let mut world = Cluster::planned(Plan { more, ..Plan::default() }).await?;
    let ada = Client::connect(&world.hubs[0].listen, "ada").await?;
    let (first, second) = (held(&ada, "k1").await?, held(&ada, "k2").await?);
    for hub in &mut world.hubs {
        hub.kill()?;
    }
    for hub in &mut world.hubs {
        hub.start().await?;
    }
    let mut ada = Client::connect(&world.hubs[0].listen, "ada").await?;
    ada.subscribe("held", None).await?.unwrap();
    let decide = |id: &str, verb: &str| world.hubs[1].verb(&["held", verb, id, "--json"]);
    assert!(decide(&first, "approve")?.0.success());
    assert_eq!(ada.publication().await?["pub"]["tags"]["id"], first);
    assert_eq!(told(&mut ada).await?["decision"], "approved");
    assert!(decide(&second, "deny")?.0.success());
    let denied = told(&mut ada).await?;
    assert_eq!((&denied["id"], &denied["decision"]), (&json!(second), &json!("denied")));
    world.end().await
}

/// The store is not asked: the hub of the sender cannot reach it.
#[tokio::test(flavor = "multi_thread")]
async fn a_sender_hears_of_a_decision_on_another_hub_although_their_own_cannot_ask_the_store() -> Result<()> {
    let store = Proxy::to(&authority(&service("CONFAB_TEST_POSTGRES")?)).await?;
    let postgres_of = vec![(1, store.address.to_string())];
    let world = Cluster::planned(Plan { more: holding()?, postgres_of, ..Plan::default() }).await?;
    let mut ada = Client::connect(&world.hubs[1].listen, "ada").await?;
    let (first, second) = (held(&ada, "k1").await?, held(&ada, "k2").await?);
    store.set(Fault::Cut);
    for (id, verb, decision) in [(&first, "deny", "denied"), (&second, "approve", "approved")] {
        assert!(world.hubs[0].verb(&["held", verb, id, "--json"])?.0.success());
        let heard = told(&mut ada).await?;
        assert_eq!((&heard["id"], &heard["decision"]), (&json!(id), &json!(decision)));
    }
    world.end().await
}
