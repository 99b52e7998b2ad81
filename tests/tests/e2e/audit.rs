//! The audit log: what operators and moderators do, and what they are refused.

use anyhow::{Result, ensure};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::process::Running;
use confab_tests::world::Embedded;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

const SECRET: &str = "a secret of the tests, long enough";

fn token(claims: &Value) -> Result<String> {
    Ok(jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes()))?)
}

/// The acts, the newest first.
fn acts(hub: &Running, more: &[&str]) -> Result<Vec<Value>> {
    let (status, out, err) = hub.verb(&[&["audit", "--json"], more].concat())?;
    ensure!(status.success(), "{out}{err}");
    Ok(serde_json::from_str::<Value>(&out)?["acts"].as_array().cloned().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_act_of_an_operator_stands_there_with_who_what_whom_and_why_and_so_does_what_was_refused() -> Result<()> {
    let mut world = Embedded::start("").await?;
    for (verb, ok) in [
        (vec!["send", "lobby", "hello", "--as", "ada"], true),
        (vec!["send", "lobby", "hello", "--as", "plugin:commands"], false),
        (vec!["send", "lobby", "hello", "--as", "api:billing"], false),
        (vec!["ban", "set", "ada", "--room", "lobby", "--for", "2h", "--reason", "enough of that"], true),
        (vec!["ban", "lift", "bob", "--everywhere"], false),
        (vec!["mute", "set", "lobby", "bob"], true),
        (vec!["mute", "lift", "lobby", "bob"], true),
        (vec!["held", "deny", "0197a000-0000-7000-8000-000000000000", "--reason", "no"], false),
        (vec!["reload", "--dry-run"], true),
        (vec!["history", "lobby"], true),
        (vec!["history", "private#ada,bob"], true),
    ] {
        let (status, out, err) = world.hub.verb(&verb)?;
        assert_eq!(status.success(), ok, "{verb:?}: {out}{err}");
    }
    let found = acts(&world.hub, &[])?;
    let short: Vec<String> = found
        .iter()
        .rev()
        .map(|act| {
            let text = |key: &str| act[key].as_str().unwrap_or("-").to_owned();
            format!(
                "{} {} {} {}",
                text("verb"),
                text("user"),
                text("room"),
                if act["result"] == "ok" { "ok" } else { "no" }
            )
        })
        .collect();
    assert_eq!(
        short,
        [
            "send ada lobby ok",
            "send plugin:commands lobby no",
            "send api:billing lobby no",
            "ban ada lobby ok",
            "unban bob - no",
            "mute bob lobby ok",
            "unmute bob lobby ok",
            "deny - - no",
            "reload - - ok",
            "history - private#ada,bob ok",
        ],
        "an open room is read by everybody"
    );
    assert!(
        found.iter().all(|act| act["by"] == "admin" && act["via"] == "admin-api" && act["at"].is_u64()),
        "{found:?}"
    );
    let ban = &acts(&world.hub, &["--verb", "ban"])?[0];
    assert_eq!((&ban["reason"], &ban["details"]), (&json!("enough of that"), &json!({"seconds": 7200})));
    assert_eq!(acts(&world.hub, &["--user", "bob", "--limit", "2", "--since", "1h"])?.len(), 2);
    let (_, out, _) = world.hub.verb(&["audit", "--user", "ada", "--verb", "ban"])?;
    assert!(out.contains(" admin (admin-api) ban ada in lobby ") && out.contains("\"enough of that\""), "{out}");
    assert!(world.hub.said().contains("\"verb\":\"ban\""), "the log has it, too");

    assert!(world.hub.stop()?.success());
    world.hub.start().await?;
    assert_eq!(acts(&world.hub, &[])?.len(), 10, "it outlives the process");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_moderator_does_through_a_session_stands_there_and_what_others_try_as_well() -> Result<()> {
    let world = Embedded::start(&format!("hmac_secret = \"{SECRET}\"\n")).await?;
    let connect = async |claims: Value| -> Result<Client> {
        let client = Client::open(&world.hub.listen).await?;
        ensure!(client.ask("connect", json!({"token": token(&claims)?})).await?.is_ok(), "let in");
        Ok(client)
    };
    let mia = connect(json!({"sub": "mia", "roles": ["moderator"]})).await?;
    let eve = connect(json!({"sub": "eve"})).await?;
    let mute = json!({"op": "mute", "room": "lobby", "user": "bob", "seconds": 60, "reason": "noise"});
    mia.rpc("review", mute.clone()).await?.unwrap();
    eve.rpc("review", mute.clone()).await?.unwrap_err();
    mia.rpc("review", json!({"op": "mute", "room": "lobby", "user": "bob", "seconds": 0})).await?.unwrap_err();
    mia.rpc("review", json!({"op": "list"})).await?.unwrap();
    let found = eventually("all stand there", async || {
        let found = acts(&world.hub, &[]).ok()?;
        (found.len() == 3).then_some(found)
    })
    .await;
    let who: Vec<(&Value, &Value, bool)> =
        found.iter().rev().map(|act| (&act["by"], &act["via"], act["result"] == "ok")).collect();
    let (mia, eve, rpc) = (json!("mia"), json!("eve"), json!("rpc"));
    assert_eq!(who, [(&mia, &rpc, true), (&eve, &rpc, false), (&mia, &rpc, false)]);
    assert_eq!(
        (&found[2]["verb"], &found[2]["user"], &found[2]["reason"]),
        (&json!("mute"), &json!("bob"), &json!("noise"))
    );
    assert!(found[1]["result"].as_str().unwrap_or_default().starts_with("103"), "{found:?}");
    Ok(())
}
