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
async fn a_rooms_token_for_somebody_else_or_somewhere_else_opens_nothing_and_the_session_goes_on() -> Result<()> {
    let world = world("").await?;
    let eve = connected(&world, json!({"sub": "eve"})).await?;
    let foreign = [json!({"sub": "ada", "channel": "closed:1"}), json!({"sub": "eve", "channel": "closed:2"})];
    for claims in foreign.clone() {
        assert_eq!(code(subscribe(&eve, "closed:1", claims).await?), 103);
    }
    subscribe(&eve, "closed:1", json!({"sub": "eve", "channel": "closed:1", "exp": now_s() + 600})).await?.unwrap();
    for claims in foreign {
        let refresh = json!({"channel": "closed:1", "token": token(claims)?});
        assert_eq!(code(eve.ask("sub_refresh", refresh).await?), 103);
    }
    eve.say("closed:1", "k", "still here").await?.unwrap();
    let said = world.hub.said();
    assert!(said.contains(r#"claim `channel`: it is for \"closed:2\", and \"closed:1\" is meant"#), "{said}");
    assert!(said.contains(r#"claim `sub`: it is for \"ada\", and \"eve\" is meant"#), "{said}");
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
    let refused = refresh(expired).await?.unwrap_err();
    assert_eq!((&refused["code"], &refused["temporary"]), (&json!(110), &json!(true)), "stock clients bring another");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_new_token_names_a_room_no_more_leaves_it() -> Result<()> {
    let world = world("").await?;
    let claims = |rooms: Value| json!({"sub": "ada", "exp": now_s() + 600, "channels": rooms});
    let mut ada = connected(&world, claims(json!(["closed:1", "closed:2"]))).await?;
    ada.subscribe("open", None).await?.unwrap();
    ada.ask("refresh", json!({"token": token(claims(json!(["closed:2", "closed:3"])))?})).await?.unwrap();
    let push = ada.push().await?;
    assert_eq!(push["channel"], "closed:1");
    assert_eq!(push["unsubscribe"], json!({"code": 2000, "reason": "server unsubscribe"}));
    for (room, may) in [("closed:1", false), ("closed:2", true), ("closed:3", false), ("open", true)] {
        assert_eq!(ada.say(room, "k", "may I?").await?.is_ok(), may, "{room}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_lasts_longer_than_integers_of_clients_is_said_to_last_a_year() -> Result<()> {
    let world = world("").await?;
    let client = Client::open(&world.hub.listen).await?;
    let exp = now_s() + (1 << 33);
    let connected = client.ask("connect", json!({"token": token(json!({"sub": "ada", "exp": exp}))?})).await?.unwrap();
    assert_eq!(connected["ttl"], 31_536_000);
    let joined =
        subscribe(&client, "closed:1", json!({"sub": "ada", "channel": "closed:1", "exp": exp})).await?.unwrap();
    assert_eq!(joined["ttl"], 31_536_000);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_hub_for_development_a_name_that_cannot_be_one_is_refused_by_name() -> Result<()> {
    let world = world("").await?;
    for user in [json!("a".repeat(256)), json!("a\nb"), json!(""), json!(5), json!("plugin:x")] {
        let client = Client::open(&world.hub.listen).await?;
        let refused = client.ask("connect", json!({"data": {"user": user}})).await?.unwrap_err();
        assert_eq!(refused["code"], 107, "{user}");
        assert!(refused["message"].as_str().is_some_and(|said| said.contains("`data.user`")), "{refused}");
        client.ask("connect", json!({"data": {"user": "ada"}})).await?.unwrap();
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_tokens_are_counted_and_fill_no_log() -> Result<()> {
    let world = world("issuer = [\"me\"]").await?;
    for n in 0..40 {
        let mut client = Client::open(&world.hub.listen).await?;
        let claims = json!({"sub": format!("user-{n}"), "iss": "somebody\nelse"});
        client.raw(&json!({"id": 1, "connect": {"token": token(claims)?}}).to_string())?;
        assert_eq!(client.close_code().await?, 3500);
    }
    assert_eq!(world.hub.metric("confab_refused_tokens_total{reason=\"claim\"}").await?, 40.0);
    let said = world.hub.said();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("token refused")).collect();
    assert!((1..=20).contains(&lines.len()), "{said}");
    assert!(lines[0].contains("claim `iss`: it is"), "{}", lines[0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_client_whose_rooms_token_came_too_late_brings_another_and_stays() -> Result<()> {
    let world = world("").await?;
    confab_tests::stock::node_with("room-token.mjs", &[&world.hub.listen], &["--secret", SECRET]).await?;
    Ok(())
}
