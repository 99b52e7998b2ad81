//! What follows from a plugin's verdict: notices, mutes and flags, and what moderators do about them.

use anyhow::{Context, Result, ensure};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::world::{Cluster, Embedded, Plan, plugin};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use std::time::Instant;

const SECRET: &str = "a secret of the tests, long enough";

/// A hub whose plugin asks for whatever the message says.
async fn world() -> Result<Embedded> {
    let asks = plugin("asks", "asks", "timeout = \"2s\"\ncapabilities = { emit = true }")?;
    let chain = "[[chain]]\non = [\"send\", \"edit\", \"react\"]\nplugins = [\"asks\"]\n";
    Embedded::start(&format!("hmac_secret = \"{SECRET}\"\n{asks}{chain}")).await
}

async fn with_roles(world: &Embedded, user: &str, roles: &[&str]) -> Result<Client> {
    let claims = json!({"sub": user, "roles": roles});
    let token = jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes()))?;
    let client = Client::open(&world.hub.listen).await?;
    client.ask("connect", json!({"token": token})).await?.unwrap();
    Ok(client)
}

/// What a client hears up to the publication with this text: messages outside of any room, and texts.
async fn heard_until(client: &mut Client, text: &str) -> Result<Vec<Value>> {
    let mut heard = Vec::new();
    loop {
        let mut push = client.push().await?;
        ensure!(push.get("close").is_none(), "closed: {push}");
        if let Some(message) = push.get_mut("message") {
            heard.push(message["data"].take());
        } else if push["pub"]["data"]["text"] == text {
            return Ok(heard);
        }
    }
}

fn confab(world: &Embedded, arguments: &[&str]) -> Result<Value> {
    let (status, out, err) = world.hub.verb(arguments)?;
    ensure!(status.success(), "confab {arguments:?}: {status}\n{out}{err}");
    Ok(serde_json::from_str(&out)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_reaches_the_session_that_spoke_and_nobody_else_and_is_said_once() -> Result<()> {
    let world = world().await?;
    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    let mut elsewhere = Client::connect(&world.hub.listen, "ada").await?;
    let mut bob = Client::connect(&world.hub.listen, "bob").await?;
    for client in [&ada, &elsewhere, &bob] {
        client.subscribe("lobby", None).await?.unwrap();
    }
    let receipt = ada.say("lobby", "k1", "notice psst").await?.unwrap();
    assert_eq!(ada.say("lobby", "k1", "notice psst").await?.unwrap(), receipt, "a retry hears the same");
    for _ in 0..2 {
        let refused = ada.say("lobby", "k2", "notice not so; reject 460 no").await?.unwrap_err();
        assert_eq!(refused["code"], 460);
    }
    ada.say("lobby", "k3", "the end").await?.unwrap();
    let told = heard_until(&mut ada, "the end").await?;
    let expected = json!({
        "type": "notice", "room": "lobby", "id": receipt["id"], "key": "k1", "plugin": "asks", "text": "psst"
    });
    assert_eq!((&told[0], told.len()), (&expected, 2), "{told:?}");
    assert_eq!((&told[1]["key"], &told[1]["text"]), (&json!("k2"), &json!("not so")));
    for client in [&mut elsewhere, &mut bob] {
        assert_eq!(heard_until(client, "the end").await?, [Value::Null; 0]);
    }
    let done = "confab_plugin_effects_total{plugin=\"asks\",effect=\"notice\",result=\"done\"}";
    assert_eq!(world.hub.metric(done).await?, 2.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_muted_is_refused_until_somebody_lifts_it_also_after_a_restart() -> Result<()> {
    let mut world = world().await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let first = ada.say("lobby", "k1", "mute 3600 enough of that").await?.unwrap();
    let refused = ada.say("lobby", "k2", "but I").await?.unwrap_err();
    assert_eq!((&refused["code"], refused.get("temporary")), (&json!(210), None));
    let said = refused["message"].as_str().context("a refusal says why")?;
    assert!(said.starts_with("muted here for 3") && said.ends_with(" s more: enough of that"), "{said}");
    assert_eq!(ada.say("lobby", "k1", "mute 3600 enough of that").await?.unwrap(), first, "what was said stands");
    let target = json!({"room": "lobby", "target": first["id"], "body": {"text": "x"}, "reaction": "👍"});
    let only = |keys: &[&str]| -> serde_json::Map<String, Value> {
        keys.iter().map(|key| ((*key).to_owned(), target[*key].clone())).collect()
    };
    let edit = ada.rpc("edit", json!(only(&["room", "target", "body"]))).await?;
    assert_eq!(edit.unwrap_err()["code"], 210);
    let react = ada.rpc("react", json!(only(&["room", "target", "reaction"]))).await?;
    assert_eq!(react.unwrap_err()["code"], 210);
    ada.rpc("delete", json!(only(&["room", "target"]))).await?.unwrap();
    ada.say("elsewhere", "k3", "here I may").await?.unwrap();
    let bob = Client::connect(&world.hub.listen, "bob").await?;
    bob.say("lobby", "k", "hello").await?.unwrap();

    eventually("the mute is kept", async || {
        let mutes = confab(&world, &["mute", "list", "--json"]).ok()?;
        (mutes.as_array()?.len() == 1).then_some(())
    })
    .await;
    assert!(world.hub.stop()?.success());
    world.hub.start().await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    assert_eq!(ada.say("lobby", "k4", "and now?").await?.unwrap_err()["code"], 210);
    let mutes = confab(&world, &["mute", "list", "--room", "lobby", "--json"])?;
    assert_eq!((&mutes[0]["user"], &mutes[0]["by"]), (&json!("ada"), &json!("plugin:asks")), "{mutes}");
    confab(&world, &["mute", "lift", "lobby", "ada", "--json"])?;
    ada.say("lobby", "k4", "and now?").await?.unwrap();
    let muted = confab(&world, &["mute", "set", "lobby", "bob", "--for", "10m", "--reason", "off topic", "--json"])?;
    assert_eq!((&muted["user"], &muted["by"]), (&json!("bob"), &json!("admin")));
    let bob = Client::connect(&world.hub.listen, "bob").await?;
    let refused = bob.say("lobby", "k2", "hello").await?.unwrap_err();
    assert!(refused["message"].as_str().is_some_and(|said| said.ends_with("off topic")), "{refused}");
    let (status, _, err) = world.hub.verb(&["mute", "lift", "lobby", "nobody"])?;
    assert!(!status.success() && err.contains("not muted"), "{err}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_ends_by_itself() -> Result<()> {
    let world = world().await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    ada.say("lobby", "k1", "mute 1 a moment").await?.unwrap();
    assert_eq!(ada.say("lobby", "k2", "hello").await?.unwrap_err()["code"], 210);
    eventually("she may speak again", async || ada.say("lobby", "k2", "hello").await.ok()?.ok()).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_flagged_is_listed_until_a_moderator_has_looked_at_it() -> Result<()> {
    let world = world().await?;
    let ada = with_roles(&world, "ada", &["member"]).await?;
    let mia = with_roles(&world, "mia", &["moderator"]).await?;
    let stands = ada.say("lobby", "k1", "flag look at this; flag and at that").await?.unwrap();
    ada.say("lobby", "k2", "flag and this; reject 460 no").await?.unwrap_err();
    let flags = eventually("all are kept", async || {
        let flags = confab(&world, &["flag", "list", "--json"]).ok()?;
        (flags.as_array()?.len() == 3).then_some(flags)
    })
    .await;
    let reasons: Vec<&str> = flags.as_array().unwrap().iter().filter_map(|flag| flag["reason"].as_str()).collect();
    assert_eq!(reasons, ["look at this", "and at that", "and this"]);
    assert_eq!(
        (&flags[0]["id"], &flags[0]["sender"], &flags[0]["plugin"]),
        (&stands["id"], &json!("ada"), &json!("asks"))
    );
    assert_eq!(flags[2]["event"]["body"]["text"], "flag and this; reject 460 no", "what was refused is kept here");
    eventually("what stands is found", async || {
        let flags = confab(&world, &["flag", "list", "--json"]).ok()?;
        (flags[0]["event"]["offset"] == 1).then_some(())
    })
    .await;
    let (_, out, _) = world.hub.verb(&["flag", "list"])?;
    assert!(out.contains("flagged by asks: look at this"), "{out}");

    assert_eq!(ada.rpc("review", json!({"op": "flags"})).await?.unwrap_err()["code"], 103);
    let listed = mia.rpc("review", json!({"op": "flags", "room": "lobby"})).await?.unwrap();
    assert_eq!(listed["flags"].as_array().map(Vec::len), Some(3));
    let close = json!({"op": "close", "id": stands["id"], "reason": "all is well"});
    mia.rpc("review", close.clone()).await?.unwrap();
    assert_eq!(mia.rpc("review", close).await?.unwrap_err()["code"], 209, "nothing is open any more");
    let refused = flags[2]["id"].as_str().context("an id")?;
    confab(&world, &["flag", "close", refused, "--json"])?;
    assert_eq!(confab(&world, &["flag", "list", "--json"])?, json!([]));
    let closed = confab(&world, &["flag", "list", "--closed", "--json"])?;
    assert_eq!((closed[0]["closed_by"].as_str(), closed[1]["closed_by"].as_str()), (Some("admin"), Some("mia")));
    assert_eq!(closed[1]["closed_why"], "all is well");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn moderators_mute_from_their_client_and_plugins_see_who_they_are() -> Result<()> {
    let world = world().await?;
    let mut ada = with_roles(&world, "ada", &["member"]).await?;
    let mia = with_roles(&world, "mia", &["member", "moderator"]).await?;
    ada.subscribe("lobby", None).await?.unwrap();
    mia.say("lobby", "k", "hello").await?.unwrap();
    let tags = ada.publication().await?["pub"]["tags"].take();
    let annotations: Value = serde_json::from_str(tags["annotations"].as_str().context("annotations")?)?;
    assert_eq!(annotations["asks.roles"], json!(["member", "moderator"]));
    assert_eq!(annotations["asks.hops"], 0);

    let mute = json!({"op": "mute", "room": "lobby", "user": "ada", "seconds": 600, "reason": "calm down"});
    assert_eq!(ada.rpc("review", mute.clone()).await?.unwrap_err()["code"], 103);
    assert_eq!(mia.rpc("review", mute).await?.unwrap()["by"], "mia");
    assert_eq!(ada.say("lobby", "k1", "hm").await?.unwrap_err()["code"], 210);
    let mutes = mia.rpc("review", json!({"op": "mutes"})).await?.unwrap();
    assert_eq!(mutes["mutes"][0]["user"], "ada");
    for wrong in [
        json!({"op": "mute", "room": "lobby", "user": "ada"}),
        json!({"op": "mute", "room": "lobby", "user": "ada", "seconds": 0}),
        json!({"op": "lift", "room": "lobby"}),
        json!({"op": "lift", "room": "lobby", "user": "noor"}),
    ] {
        assert_eq!(mia.rpc("review", wrong.clone()).await?.unwrap_err()["code"], 107, "{wrong}");
    }
    mia.rpc("review", json!({"op": "lift", "room": "lobby", "user": "ada"})).await?.unwrap();
    ada.say("lobby", "k1", "hm").await?.unwrap();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flooder_who_is_muted_on_one_hub_is_refused_on_every_hub_also_after_it_began_anew() -> Result<()> {
    let settings = "rate = { messages = 2, per = \"1m\" }, action = \"mute\", mute = \"10m\"";
    let guard = format!("timeout = \"2s\"\ncapabilities = {{ kv = true }}\nsettings = {{ {settings} }}");
    let more = format!("{}[[chain]]\nplugins = [\"guard\"]\n", plugin("guard", "flood-guard", &guard)?);
    let mut world = Cluster::planned(Plan { more, ..Plan::default() }).await?;
    let here = Client::connect(&world.hubs[0].listen, "ada").await?;
    let there = Client::connect(&world.hubs[1].listen, "ada").await?;
    for n in 1..=2 {
        here.say("lobby", &format!("k{n}"), "spam").await?.unwrap();
    }
    // Muted by the hub that judged, from that moment on.
    assert_eq!(here.say("lobby", "k3", "spam").await?.unwrap_err()["code"], 429);
    let begun = Instant::now();
    assert_eq!(here.say("lobby", "k4", "spam").await?.unwrap_err()["code"], 210);
    let refused = eventually("the other hub hears of it", async || {
        let refused = there.say("lobby", &uuid::Uuid::now_v7().to_string(), "spam").await.ok()?.err()?;
        (refused["code"] == 210).then_some(refused)
    })
    .await;
    println!("the other hub refused after {:?}: {}", begun.elapsed(), refused["message"]);
    let bob = Client::connect(&world.hubs[1].listen, "bob").await?;
    bob.say("lobby", "k", "hello").await?.unwrap();
    world.hubs[1].kill()?;
    world.hubs[1].start().await?;
    let there = Client::connect(&world.hubs[1].listen, "ada").await?;
    assert_eq!(there.say("lobby", "k5", "spam").await?.unwrap_err()["code"], 210);
    world.end().await
}
