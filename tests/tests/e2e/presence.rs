//! Who is in a room, and who is told that somebody comes or goes: on one hub, and on two.

use anyhow::{Result, bail};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::polling::Polling;
use confab_tests::world::{Cluster, Embedded};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const ROOMS: &str = "\n[[room]]\nmatch = [\"team:**\"]\npresence = true\njoin_leave = \"asked\"\n";

/// The answer to a question about a room, where whoever asks without a pause is told to wait.
async fn asked(client: &Client, method: &str, room: &str) -> Value {
    eventually("it is answered", async || client.ask(method, json!({"channel": room})).await.ok()?.ok()).await
}

/// The people in a room, sorted.
async fn people(client: &Client, room: &str) -> Result<Vec<String>> {
    let presence = asked(client, "presence", room).await["presence"].take();
    let of = |one: &Value| one["user"].as_str().unwrap().to_owned();
    let mut people: Vec<_> = presence.as_object().unwrap().values().map(of).collect();
    people.sort();
    Ok(people)
}

async fn eventually_here(client: &Client, room: &str, expected: &[&str]) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let found = people(client, room).await?;
        if found == expected {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{found:?} are here and not {expected:?}");
        }
        tokio::task::yield_now().await;
    }
}

async fn join(client: &Client, room: &str) -> Result<()> {
    client.ask("subscribe", json!({"channel": room, "join_leave": true})).await?.unwrap();
    Ok(())
}

/// The next coming or going: what, and who.
async fn passage(client: &mut Client) -> Result<(&'static str, String)> {
    loop {
        let push = client.push().await?;
        for what in ["join", "leave"] {
            if let Some(passage) = push.get(what) {
                return Ok((what, passage["info"]["user"].as_str().unwrap().to_owned()));
            }
        }
        if push.get("close").is_some() {
            bail!("closed: {push}");
        }
    }
}

async fn story(a: &str, b: &str) -> Result<()> {
    let mut ada = Client::connect(a, "ada").await?;
    join(&ada, "team:1").await?;
    assert_eq!(people(&ada, "team:1").await?, ["ada"], "whoever has joined finds itself");
    assert_eq!(passage(&mut ada).await?, ("join", "ada".into()));
    let bob = Client::connect(b, "bob").await?;
    let again = Client::connect(b, "bob").await?;
    join(&bob, "team:1").await?;
    assert_eq!(passage(&mut ada).await?, ("join", "bob".into()));
    again.subscribe("team:1", None).await?.unwrap();
    assert_eq!(passage(&mut ada).await?, ("join", "bob".into()));
    for client in [&ada, &bob] {
        eventually_here(client, "team:1", &["ada", "bob", "bob"]).await?;
    }
    let stats = asked(&ada, "presence_stats", "team:1").await;
    assert_eq!(stats, json!({"num_clients": 3, "num_users": 2}));
    bob.ask("unsubscribe", json!({"channel": "team:1"})).await?.unwrap();
    assert_eq!(passage(&mut ada).await?, ("leave", "bob".into()));
    again.raw("no command")?; // the hub ends the session
    assert_eq!(passage(&mut ada).await?, ("leave", "bob".into()));
    eventually_here(&bob, "team:1", &["ada"]).await?;
    bob.say("team:1", "k", "and still").await?.unwrap();
    assert_eq!(ada.publication().await?["pub"]["offset"], 1, "comings and goings take no place");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_of_one_hub_see_who_is_there_and_who_comes_and_goes() -> Result<()> {
    let world = Embedded::start(ROOMS).await?;
    story(&world.hub.listen, &world.hub.listen).await
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_of_two_hubs_see_each_other() -> Result<()> {
    let cluster = Cluster::start(ROOMS).await?;
    story(&cluster.hubs[0].listen, &cluster.hubs[1].listen).await?;
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_does_not_tell_says_so_and_nobody_is_told_who_did_not_ask() -> Result<()> {
    let world = Embedded::start(ROOMS).await?;
    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    let bob = Client::connect(&world.hub.listen, "bob").await?;
    for method in ["presence", "presence_stats"] {
        assert_eq!(ada.ask(method, json!({"channel": "lobby"})).await?.unwrap_err()["code"], 108);
    }
    ada.subscribe("team:1", None).await?.unwrap();
    join(&ada, "lobby").await?;
    for room in ["team:1", "lobby"] {
        join(&bob, room).await?;
        bob.say(room, "k", "hello").await?.unwrap();
    }
    for _ in 0..2 {
        let push = ada.push().await?;
        assert!(push.get("pub").is_some(), "{push}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_there_is_named_up_to_a_bound_and_counted_past_it_and_asked_at_a_pace() -> Result<()> {
    let world = Embedded::start(&format!("\n[limits]\npresence_names = 3\n{ROOMS}")).await?;
    let mut there = Vec::new();
    for n in 0..6 {
        let client = Client::connect(&world.hub.listen, &format!("user-{n}")).await?;
        client.subscribe("team:1", None).await?.unwrap();
        assert!(people(&client, "team:1").await?.contains(&format!("user-{n}")), "whoever has joined finds itself");
        there.push(client);
    }
    // What was looked at is shared for a moment, in which others came: it is 3 soon, and never more.
    let named = async || match people(&there[0], "team:1").await {
        Ok(people) if people.len() < 3 => None,
        people => Some(people),
    };
    assert_eq!(eventually("as many are named as may be", named).await?.len(), 3);
    let all = eventually("all are counted", async || {
        let stats = there[0].ask("presence_stats", json!({"channel": "team:1"})).await.ok()?.ok()?;
        (stats["num_clients"] == 6).then_some(stats)
    });
    assert_eq!(all.await, json!({"num_clients": 6, "num_users": 6}));
    let mut polling = Polling::connect(&world.hub.listen, "paul").await?;
    polling.ask("join", json!({"room": "team:1"})).await?;
    let answer = polling.ask("presence", json!({"room": "team:1"})).await?;
    assert_eq!((answer["clients"].as_array().map(Vec::len), &answer["total"]), (Some(3), &json!(7)), "{answer}");

    let asked: Vec<_> = (0..400).map(|_| there[1].begin("presence", json!({"channel": "team:1"}))).collect();
    let mut refused = 0;
    for answer in asked {
        if let Err(refusal) = answer.await? {
            assert_eq!((&refusal["code"], &refusal["temporary"]), (&json!(111), &json!(true)));
            refused += 1;
        }
    }
    assert!(refused > 100, "{refused} of 400 were refused");
    there[2].ask("presence", json!({"channel": "team:1"})).await?.unwrap();
    Ok(())
}
