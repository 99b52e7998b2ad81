//! Tokens of connections and of rooms: who is let in where, for how long, and what ends it.

use anyhow::Result;
use confab_tests::client::{Answer, Client};
use confab_tests::world::Embedded;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const SECRET: &str = "a secret of the tests, long enough";
const ROOMS: &str = "[[room]]\nmatch = [\"closed:**\"]\njoin = \"token\"\n";

async fn world(auth: &str) -> Result<Embedded> {
    Embedded::start(&format!("hmac_secret = \"{SECRET}\"\n{auth}\n{ROOMS}")).await
}

fn token(claims: Value) -> Result<String> {
    Ok(jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes()))?)
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

async fn connected(world: &Embedded, claims: Value) -> Result<Client> {
    let client = Client::open(&world.hub.listen).await?;
    client.ask("connect", json!({"token": token(claims)?})).await?.unwrap();
    Ok(client)
}

/// The code of a refusal.
fn code(answer: Answer) -> Value {
    answer.unwrap_err()["code"].take()
}

async fn subscribe(client: &Client, room: &str, claims: Value) -> Result<Answer> {
    client.ask("subscribe", json!({"channel": room, "token": token(claims)?})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_needs_a_token_is_closed_to_those_without_and_tells_them_nothing() -> Result<()> {
    let world = world("").await?;
    let ada = connected(&world, json!({"sub": "ada"})).await?;
    let eve = connected(&world, json!({"sub": "eve"})).await?;
    subscribe(&ada, "closed:1", json!({"sub": "ada", "channel": "closed:1"})).await?.unwrap();
    ada.say("closed:1", "k", "between us").await?.unwrap();
    assert_eq!(code(eve.subscribe("closed:1", None).await?), 103);
    assert_eq!(code(eve.ask("subscribe", json!({"channel": "closed:1", "token": "forged"})).await?), 103);
    assert_eq!(code(eve.ask("history", json!({"channel": "closed:1", "limit": 10})).await?), 103);
    assert_eq!(code(eve.rpc("history", json!({"room": "closed:1"})).await?), 103);
    assert_eq!(code(eve.say("closed:1", "k", "let me in").await?), 103);
    assert_eq!(code(eve.ask("publish", json!({"channel": "closed:1", "data": {}})).await?), 103);
    let expired = json!({"sub": "eve", "channel": "closed:1", "exp": now_s() - 60});
    assert_eq!(code(subscribe(&eve, "closed:1", expired).await?), 109);
    eve.subscribe("open", None).await?.unwrap();
    ada.ask("unsubscribe", json!({"channel": "closed:1"})).await?.unwrap();
    assert_eq!(code(ada.rpc("history", json!({"room": "closed:1"})).await?), 103, "whoever left reads no more");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_somebody_else_or_somewhere_else_ends_the_session() -> Result<()> {
    let world = world("").await?;
    for claims in [json!({"sub": "ada", "channel": "closed:1"}), json!({"sub": "eve", "channel": "closed:2"})] {
        let mut eve = connected(&world, json!({"sub": "eve"})).await?;
        eve.raw(&json!({"id": 9, "subscribe": {"channel": "closed:1", "token": token(claims)?}}).to_string())?;
        assert_eq!(eve.close_code().await?, 3500);
    }
    let mut eve = Client::open(&world.hub.listen).await?;
    let of_a_room = token(json!({"sub": "eve", "channel": "closed:1"}))?;
    eve.raw(&json!({"id": 1, "connect": {"token": of_a_room}}).to_string())?;
    assert_eq!(eve.close_code().await?, 3500, "a room's token is no connection's");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_personal_room_is_open_to_those_it_names() -> Result<()> {
    let world = world("anonymous = true").await?;
    let ada = connected(&world, json!({"sub": "ada"})).await?;
    let bob = connected(&world, json!({"sub": "bob"})).await?;
    let eve = connected(&world, json!({"sub": "eve"})).await?;
    let guest = connected(&world, json!({})).await?;
    for room in ["#ada", "talk#bob,ada", "a#b#ada"] {
        ada.subscribe(room, None).await?.unwrap();
        assert_eq!(code(eve.subscribe(room, None).await?), 103, "{room}");
        assert_eq!(code(guest.subscribe(room, None).await?), 103, "{room}");
        assert_eq!(code(eve.say(room, "k", "hello").await?), 103, "{room}");
    }
    bob.subscribe("talk#bob,ada", None).await?.unwrap();
    subscribe(&eve, "#ada", json!({"sub": "eve", "channel": "#ada"})).await?.unwrap();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_a_sub_lets_in_guests_only_where_guests_are_wanted() -> Result<()> {
    let world = world("").await?;
    let mut refused = Client::open(&world.hub.listen).await?;
    refused.raw(&json!({"id": 1, "connect": {"token": token(json!({}))?}}).to_string())?;
    assert_eq!(refused.close_code().await?, 3507);
    let world = self::world("anonymous = true").await?;
    let mut a = connected(&world, json!({})).await?;
    let b = connected(&world, json!({})).await?;
    subscribe(&a, "closed:1", json!({"channel": "closed:1"})).await?.unwrap();
    a.subscribe("lobby", None).await?.unwrap();
    for (n, guest) in [&a, &b].into_iter().enumerate() {
        guest.say("lobby", &format!("k{n}"), "hello").await?.unwrap();
    }
    let first = a.publication().await?["pub"]["info"]["user"].take();
    let second = a.publication().await?["pub"]["info"]["user"].take();
    assert!(first.as_str().unwrap().starts_with("guest-"), "{first}");
    assert_ne!(first, second);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connections_token_brings_rooms_and_they_are_recovered_with_it() -> Result<()> {
    let world = world("").await?;
    let claims = json!({"sub": "ada", "channels": ["news", "closed:1"], "subs": {"closed:1": {}, "more": {}}});
    let ada = Client::open(&world.hub.listen).await?;
    let reply = ada.ask("connect", json!({"token": token(claims.clone())?})).await?.unwrap();
    let subs = reply["subs"].as_object().unwrap();
    assert_eq!(subs.keys().collect::<Vec<_>>(), ["closed:1", "more", "news"]);
    assert_eq!(subs["news"]["recoverable"], true);
    let epoch = subs["news"]["epoch"].clone();
    assert_eq!(code(ada.subscribe("news", None).await?), 105);
    drop(ada);
    let bob = connected(&world, json!({"sub": "bob"})).await?;
    for n in 1..=3 {
        bob.say("news", &format!("k{n}"), "heard?").await?.unwrap();
    }
    let mut back = Client::open(&world.hub.listen).await?;
    let places = json!({"news": {"recover": true, "epoch": epoch, "offset": 1}});
    let reply = back.ask("connect", json!({"token": token(claims)?, "subs": places})).await?.unwrap();
    let news = &reply["subs"]["news"];
    assert_eq!((&news["recovered"], &news["was_recovering"]), (&json!(true), &json!(true)));
    let offsets: Vec<_> = news["publications"].as_array().unwrap().iter().map(|one| one["offset"].clone()).collect();
    assert_eq!(offsets, [2, 3]);
    assert_eq!(reply["subs"]["more"]["was_recovering"], Value::Null);
    bob.say("news", "k4", "live").await?.unwrap();
    assert_eq!(back.publication().await?["pub"]["offset"], 4);
    back.say("closed:1", "k", "the token named it").await?.unwrap();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rooms_token_that_is_not_refreshed_in_time_ends_the_stay_but_not_the_session() -> Result<()> {
    let world = world("refresh_grace = \"1s\"").await?;
    let mut ada = connected(&world, json!({"sub": "ada"})).await?;
    let claims = |ttl: u64| json!({"sub": "ada", "channel": "closed:1", "exp": now_s() + ttl});
    let joined = subscribe(&ada, "closed:1", claims(1)).await?.unwrap();
    assert_eq!((&joined["expires"], &joined["ttl"]), (&json!(true), &json!(1)));
    let refresh =
        async |claims: Value| ada.ask("sub_refresh", json!({"channel": "closed:1", "token": token(claims)?})).await;
    let expired = json!({"sub": "ada", "channel": "closed:1", "exp": now_s() - 60});
    assert_eq!(code(refresh(expired).await?), 110);
    assert_eq!(code(ada.ask("sub_refresh", json!({"channel": "closed:1"})).await?), 107);
    assert_eq!(code(ada.ask("sub_refresh", json!({"channel": "never joined", "token": "x"})).await?), 103);
    let refreshed = refresh(claims(2)).await?.unwrap();
    assert_eq!((&refreshed["expires"], &refreshed["ttl"]), (&json!(true), &json!(2)));
    let push = ada.push().await?;
    assert_eq!(push["channel"], "closed:1");
    assert_eq!(push["unsubscribe"], json!({"code": 2501, "reason": "subscription expired"}));
    assert_eq!(code(ada.say("closed:1", "k", "still here?").await?), 103);
    subscribe(&ada, "closed:1", claims(60)).await?.unwrap();
    ada.say("closed:1", "k", "back").await?.unwrap();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lives_as_long_as_its_token_is_refreshed() -> Result<()> {
    let world = world("refresh_grace = \"1s\"").await?;
    let claims = |ttl: u64| json!({"sub": "ada", "exp": now_s() + ttl});
    let mut late = Client::open(&world.hub.listen).await?;
    let reply = late.ask("connect", json!({"token": token(claims(1))?})).await?.unwrap();
    assert_eq!((&reply["expires"], &reply["ttl"]), (&json!(true), &json!(1)));
    let kept = connected(&world, claims(1)).await?;
    let refreshed = kept.ask("refresh", json!({"token": token(claims(60))?})).await?.unwrap();
    assert_eq!(refreshed["expires"], true);
    assert_eq!(late.close_code().await?, 3005);
    kept.subscribe("lobby", None).await?.unwrap();
    for (fresh, close) in [
        (String::new(), 3501),
        ("forged".to_owned(), 3500),
        (token(json!({"sub": "bob"}))?, 3500),
        (token(json!({"sub": "ada", "exp": now_s() - 60}))?, 3005),
    ] {
        let mut ada = connected(&world, claims(60)).await?;
        ada.raw(&json!({"id": 9, "refresh": {"token": fresh}}).to_string())?;
        assert_eq!(ada.close_code().await?, close, "{fresh}");
    }
    let forever = Client::open(&world.hub.listen).await?;
    let reply = forever.ask("connect", json!({"token": token(json!({"sub": "ada"}))?})).await?.unwrap();
    assert_eq!((reply.get("expires"), reply.get("ttl")), (None, None));
    Ok(())
}
