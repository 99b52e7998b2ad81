//! Revoking a user's tokens: on every hub, also after restarts, and newer ones are good.

use anyhow::{Result, ensure};
use confab_tests::client::{Answer, Client};
use confab_tests::process::{Running, program};
use confab_tests::stock;
use confab_tests::world::{Cluster, Embedded, Plan};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const SECRET: &str = "a secret of the tests, long enough";

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn token(claims: &Value) -> Result<String> {
    Ok(jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes()))?)
}

async fn connect(hub: &str, claims: &Value) -> Result<(Client, Answer)> {
    let client = Client::open(hub).await?;
    let answer = client.ask("connect", json!({"token": token(claims)?})).await?;
    Ok((client, answer))
}

fn revoke(hub: &Running, arguments: &[&str]) -> Result<Value> {
    let (status, out, err) = hub.verb(&[&["token", "revoke"], arguments, &["--json"]].concat())?;
    ensure!(status.success(), "{arguments:?}: {status}\n{out}{err}");
    Ok(serde_json::from_str(&out)?)
}

fn code(answer: Answer) -> Value {
    answer.unwrap_err()["code"].take()
}

/// Ada's, of a minute ago, of no time at all, and of a while from now; and one of somebody else.
fn claims() -> [Value; 4] {
    let issued = |iat: u64| json!({"sub": "ada", "iat": iat, "exp": now_s() + 600});
    [
        issued(now_s() - 60),
        json!({"sub": "ada", "exp": now_s() + 600}),
        issued(now_s() + 60),
        json!({"sub": "bob", "iat": now_s() - 60}),
    ]
}

/// Which of the tokens are good.
async fn good(hub: &str) -> Result<[bool; 4]> {
    let mut good = [false; 4];
    for (one, claims) in good.iter_mut().zip(claims()) {
        let (_, answer) = connect(hub, &claims).await?;
        *one = answer.is_ok();
        if let Err(refused) = answer {
            assert_eq!(refused["code"], 109, "stock clients get another then");
        }
    }
    Ok(good)
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_tokens_are_good_nowhere_any_more_and_newer_ones_are() -> Result<()> {
    let auth = format!("hmac_secret = \"{SECRET}\"");
    let mut cluster = Cluster::planned(Plan { auth, ..Plan::default() }).await?;
    let [a, b] = [0, 1].map(|hub: usize| cluster.hubs[hub].listen.clone());
    assert_eq!(good(&b).await?, [true; 4]);
    let [old, undated, new, bob] = claims();
    let mut ended = Vec::new();
    for (hub, claims) in [(&a, &old), (&b, &old), (&b, &undated)] {
        let (client, answer) = connect(hub, claims).await?;
        answer.unwrap();
        ended.push(client);
    }
    let (stays, answer) = connect(&b, &new).await?;
    answer.unwrap();
    let (other, answer) = connect(&b, &bob).await?;
    answer.unwrap();

    revoke(&cluster.hubs[0], &["ada"])?;
    for client in &mut ended {
        assert_eq!(client.close_code().await?, 3005, "on both hubs");
    }
    for hub in [&a, &b] {
        assert_eq!(good(hub).await?, [false, false, true, true]);
    }
    stays.subscribe("lobby", None).await?.unwrap();
    other.subscribe("lobby", None).await?.unwrap();
    assert_eq!(cluster.hubs[1].metric("confab_refused_tokens_total{reason=\"revoked\"}").await?, 2.0);
    assert!(cluster.hubs[1].said().contains("claim `iat`: the user's tokens issued before"));

    // An earlier time gives nothing new life, nor does a restart.
    revoke(&cluster.hubs[1], &["ada", "--before", "2001-09-09T01:46:40Z"])?;
    cluster.hubs[1].stop()?;
    cluster.hubs[1].start().await?;
    assert_eq!(good(&b).await?, [false, false, true, true]);
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_outlives_the_hub_and_meets_rooms_tokens_as_well() -> Result<()> {
    let rooms = "[[room]]\nmatch = [\"closed:**\"]\njoin = \"token\"\n";
    let mut world = Embedded::start(&format!("hmac_secret = \"{SECRET}\"\n{rooms}")).await?;
    let [_, _, new, _] = claims();
    let of_room = |iat: u64| json!({"sub": "ada", "channel": "closed:1", "iat": iat, "exp": now_s() + 600});
    let (mut ada, answer) = connect(&world.hub.listen, &new).await?;
    answer.unwrap();
    let joined = json!({"channel": "closed:1", "token": token(&of_room(now_s() - 60))?});
    ada.ask("subscribe", joined.clone()).await?.unwrap();

    revoke(&world.hub, &["ada"])?;
    let push = ada.push().await?;
    assert_eq!(push["unsubscribe"]["code"], 2501, "it gets another token for the room: {push}");
    assert_eq!(code(ada.ask("subscribe", joined).await?), 109);
    let fresh = json!({"channel": "closed:1", "token": token(&of_room(now_s() + 60))?});
    ada.ask("subscribe", fresh).await?.unwrap();
    let stale = json!({"channel": "closed:1", "token": token(&of_room(now_s() - 60))?});
    assert_eq!(code(ada.ask("sub_refresh", stale).await?), 110);

    let in_the_future = world.hub.verb(&["token", "revoke", "ada", "--before", "2990-01-01T00:00:00Z"])?;
    assert!(!in_the_future.0.success() && in_the_future.2.contains("in the past"), "{in_the_future:?}");
    world.hub.stop()?;
    world.hub.start().await?;
    assert_eq!(good(&world.hub.listen).await?, [false, false, true, true]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_client_whose_token_was_revoked_gets_another_and_goes_on() -> Result<()> {
    let world = Embedded::start(&format!("hmac_secret = \"{SECRET}\"\n")).await?;
    let (confab, config) = (program("confab"), world.hub.config().to_owned());
    let flags = ["--secret", SECRET, "--confab", &confab.to_string_lossy(), "--config", &config.to_string_lossy()];
    stock::node_with("revoked.mjs", &[&world.hub.listen], &flags).await?;
    Ok(())
}
