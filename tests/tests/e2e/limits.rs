//! What one user may do in a time: a refusal says when to try again, nobody else notices, and metrics count it.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::polling::Polling;
use confab_tests::process::Admin;
use confab_tests::world::{Cluster, Embedded, Plan};
use serde_json::{Value, json};

/// Whether a command was refused as too much, and that it says when to try again.
fn too_much(answer: &std::result::Result<Value, Value>) -> bool {
    let Err(refusal) = answer else { return false };
    let says_when =
        || refusal["message"].as_str().is_some_and(|text| text.starts_with("too many requests: try again in "));
    refusal["code"] == 111 && refusal["temporary"] == true && says_when()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_too_fast_is_told_when_to_try_again_in_all_sessions_and_nobody_else_is() -> Result<()> {
    let world = Embedded::start("\n[limits]\nuser_commands_per_second = 10\nuser_commands_burst = 20\n").await?;
    let listen = &world.hub.listen;
    let (ada, again) = (Client::connect(listen, "ada").await?, Client::connect(listen, "ada").await?);
    let bob = Client::connect(listen, "bob").await?;
    let mut refused = 0;
    for n in 0..40 {
        let client = if n % 2 == 0 { &ada } else { &again };
        let answer = client.say("lobby", &format!("k{n}"), "fast").await?;
        assert!(answer.is_ok() || too_much(&answer), "{answer:?}");
        refused += usize::from(answer.is_err());
    }
    assert!((1..=20).contains(&refused), "{refused} of 40 were refused");
    for answer in [bob.say("lobby", "b", "slow").await?, bob.rpc("history", json!({"room": "lobby"})).await?] {
        assert!(answer.is_ok(), "{answer:?}");
    }
    let kept =
        eventually("a retry under the same key is taken", async || ada.say("lobby", "k39", "fast").await.ok()?.ok());
    assert!(kept.await["offset"].as_u64() > Some(0));
    let mut polling = Polling::connect(listen, "ada").await?;
    let told = async {
        loop {
            let answer = polling.ask("history", json!({"room": "lobby"})).await?;
            if answer["ok"] == false {
                return anyhow::Ok(answer["error"].clone());
            }
        }
    };
    let busy = async {
        loop {
            ada.begin_rpc("history", json!({"room": "lobby"})).await?.ok();
        }
        #[allow(unreachable_code, reason = "it says what an error is")]
        anyhow::Ok(())
    };
    let error = tokio::select! { error = told => error?, busy = busy => { busy?; Value::Null } };
    assert_eq!(error["code"], 111);
    assert!(error["details"]["retry_after_ms"].as_u64().is_some_and(|wait| (1..=1000).contains(&wait)), "{error}");
    assert!(world.hub.metric("confab_limited_total{limit=\"commands\"}").await? >= refused as f64);
    assert!(world.hub.said().contains("limit of a user reached"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_so_many_sessions_and_one_more_when_one_has_ended() -> Result<()> {
    let world = Embedded::start("\n[limits]\nuser_sessions = 2\n").await?;
    let listen = &world.hub.listen;
    let first = Client::connect(listen, "ada").await?;
    let mut second = Polling::connect(listen, "ada").await?;
    let third = Client::open(listen).await?;
    let introduce = || third.ask("connect", json!({"data": {"user": "ada"}}));
    assert!(too_much(&introduce().await?));
    let polling = Polling::open(listen).await?;
    polling.post(r#"40{"user":"ada"}"#).await?;
    let refused = polling.poll().await?.text;
    assert!(refused.starts_with("44{") && refused.contains(r#""code":111,"temporary":true"#), "{refused}");
    Client::connect(listen, "bob").await?;
    assert_eq!(second.ask("history", json!({"room": "lobby", "limit": 0})).await?["ok"], true, "it goes on");
    drop(first.ask("rpc", json!({"method": "nothing"})).await?);
    first.cut();
    eventually("a place is free", async || introduce().await.ok()?.ok()).await;
    assert!(world.hub.metric("confab_limited_total{limit=\"sessions\"}").await? >= 2.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_cannot_say_who_it_is_ends_after_a_few_tries() -> Result<()> {
    let world = Embedded::start("\n[limits]\nuser_sessions = 1\n").await?;
    let _first = Client::connect(&world.hub.listen, "ada").await?;
    let mut other = Client::open(&world.hub.listen).await?;
    for _ in 0..9 {
        drop(other.begin("connect", json!({"data": {"user": "ada"}})));
    }
    assert_eq!(other.close_code().await?, 3013);
    Ok(())
}

const NEW_ROOMS: &str = "\n[limits]\nuser_new_rooms_per_minute = 1\nuser_new_rooms_burst = 3\n\
    [[room]]\nmatch = [\"staff:**\"]\nbegin = \"moderators\"\n";

/// Who begins rooms, on hub `a`, and who speaks in them, on `b`.
async fn beginners(a: &str, b: &str, admin: &Admin) -> Result<()> {
    let ada = Client::connect(a, "ada").await?;
    for n in 1..=3 {
        ada.say(&format!("room:{n}"), "k", "first").await?.unwrap();
    }
    eventually("who has begun enough is refused", async || {
        let n = uuid::Uuid::now_v7();
        too_much(&ada.say(&format!("room:{n}"), "k", "first").await.ok()?).then_some(())
    })
    .await;
    for n in 1..=3 {
        ada.say(&format!("room:{n}"), "k2", "second").await?.unwrap();
    }
    let retry = ada.say("room:1", "k", "first").await?.unwrap();
    assert_eq!(retry["offset"], 1, "a retry of what began a room gets its receipt");
    let bob = Client::connect(b, "bob").await?;
    bob.say("room:bob's", "k", "another user begins").await?.unwrap();
    ada.say("room:bob's", "k", "and she answers").await?.unwrap();

    for speaker in [&ada, &bob] {
        let refused = speaker.say("staff:1", "k", "may I?").await?.unwrap_err();
        assert_eq!((&refused["code"], refused.get("temporary")), (&json!(103), None), "{refused}");
    }
    let begins = json!({"room": "staff:1", "user": "ops", "body": {"text": "welcome"}});
    assert_eq!(admin.post("/api/v1/send", &begins).await?.0, 200);
    bob.say("staff:1", "k", "thank you").await?.unwrap();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_begun_many_rooms_waits_to_begin_another_and_speaks_in_all_that_there_are() -> Result<()> {
    let world = Embedded::start(NEW_ROOMS).await?;
    beginners(&world.hub.listen, &world.hub.listen, &world.hub.admin_api()).await?;
    assert!(world.hub.metric("confab_limited_total{limit=\"new_rooms\"}").await? >= 1.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_are_begun_at_a_pace_in_a_cluster_too() -> Result<()> {
    let cluster = Cluster::planned(Plan { more: NEW_ROOMS.to_owned(), ..Plan::default() }).await?;
    let [a, b] = [&cluster.hubs[0], &cluster.hubs[1]];
    beginners(&a.listen, &b.listen, &b.admin_api()).await?;
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_of_a_client_passes_for_one_that_a_hub_made() -> Result<()> {
    let world = Embedded::start("").await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let id = "0197f000-0000-7000-8000-000000000000";
    for (prefix, key) in
        ["approved:", "hub:"].into_iter().flat_map(|begin| [(begin, begin.to_owned()), (begin, format!("{begin}{id}"))])
    {
        let key = key.as_str();
        let refused = ada.say("lobby", key, "mine").await?.unwrap_err();
        assert_eq!(refused["code"], 107);
        assert!(refused["message"].as_str().context("a message")?.contains(prefix));
        let send = json!({"room": "lobby", "user": "ops", "key": key, "body": 1});
        let (status, answer) = world.hub.admin_api().post("/api/v1/send", &send).await?;
        assert_eq!(status, 422, "{answer}");
    }
    ada.say("lobby", "approved", "as good as any").await?.unwrap();
    Ok(())
}
