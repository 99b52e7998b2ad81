//! The second dialect's edges: what is refused, what ends a polling session, and that it comes back whole.

use crate::slow::say_until_slow_is_closed;
use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::polling::{Polling, request};
use confab_tests::stock;
use confab_tests::world::Embedded;
use serde_json::{Value, json};
use std::io::ErrorKind;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::TcpStream;

const HANDSHAKE: &str = "EIO=4&transport=polling";
const PAGE: &str = "https://chat.example.com";

#[tokio::test(flavor = "multi_thread")]
async fn the_stock_engine_io_client_has_everything_echoed_in_order_over_each_transport_and_across_the_upgrade()
-> Result<()> {
    let conformance = stock::Conformance::start().await?;
    stock::node_at("engineio.mjs", &conformance.echo).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_polling_client_is_closed_as_slow_and_recovers() -> Result<()> {
    let world = Embedded::start("\n[limits]\noutbox = \"64 KiB\"\n").await?;
    let mut slow = Polling::connect(&world.hub.listen, "slow").await?;
    let joined = slow.ask("join", json!({"room": "lobby"})).await?;
    let mut cursor = joined["cursor"].clone();
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let sent = say_until_slow_is_closed(&world, &ada).await? as u64;
    // What waited for its poll is still there for a moment; then the session is over.
    let mut heard = 0;
    loop {
        let answer = slow.poll().await?;
        if answer.status == 400 {
            break;
        }
        assert_eq!(answer.status, 200, "{}", answer.text);
        for event in answer.packets().filter_map(|packet| packet.strip_prefix(r#"42["event","#)) {
            let event: Value = serde_json::from_str(event.strip_suffix(']').context("an event ends")?)?;
            heard += 1;
            assert_eq!(event["offset"], heard, "what it heard has no gap");
            cursor = json!({"epoch": event["epoch"], "offset": event["offset"]});
        }
    }
    assert!(heard < sent, "it was found slow and heard everything");
    let mut back = Polling::connect(&world.hub.listen, "slow").await?;
    let again = back.ask("join", json!({"room": "lobby", "since": cursor})).await?;
    assert_eq!(again["recovered"], true, "{}", again["error"]);
    let mut missed: Vec<_> = again["events"].as_array().unwrap().iter().map(|event| event["offset"].clone()).collect();
    while missed.len() as u64 + heard < sent {
        missed.push(back.heard("event").await?["offset"].take()); // what is over follows as events
    }
    assert_eq!(missed, (heard + 1..=sent).map(Value::from).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_pages_may_read_what_polling_answers() -> Result<()> {
    let world = Embedded::start(&format!("allowed_origins = [\"{PAGE}\"]\n")).await?;
    let hub = &world.hub.listen;
    let own = format!("http://{hub}");
    let asking =
        [("access-control-request-method", "POST"), ("access-control-request-headers", "content-type")].as_slice();
    for page in [PAGE, &own] {
        let preflight = request(hub, "OPTIONS", HANDSHAKE, &[&[("origin", page)], asking].concat(), "").await?;
        assert_eq!((preflight.status, preflight.text.as_str()), (204, ""));
        assert_eq!(preflight.header("access-control-allow-methods"), "GET, POST");
        assert_eq!(preflight.header("access-control-allow-headers"), "content-type");
        let handshake = request(hub, "GET", HANDSHAKE, &[("origin", page)], "").await?;
        assert_eq!(handshake.status, 200);
        for answer in [preflight, handshake] {
            assert_eq!(answer.header("access-control-allow-origin"), page);
            assert_eq!(answer.header("access-control-allow-credentials"), "true");
            assert_eq!(answer.header("vary"), "origin");
            assert_eq!(answer.header("cache-control"), "no-store");
        }
    }
    let session = Polling::connect(hub, "ada").await?;
    for page in ["https://evil.example.com", "https://chat.example.com.evil.test", "http://chat.example.com", "null"] {
        for (method, query) in [
            ("OPTIONS", HANDSHAKE),
            ("GET", HANDSHAKE),
            ("GET", &session.query()),
            ("POST", &session.query()),
            ("GET", "EIO=4&transport=websocket"),
        ] {
            let answer = request(hub, method, query, &[("origin", page)], "").await?;
            assert_eq!(answer.status, 403, "{method} {query} from {page}");
            assert_eq!(answer.header("access-control-allow-origin"), "", "{method} {query} from {page}");
        }
    }
    let mut session = session;
    let history = session.ask("history", json!({"room": "lobby"})).await?;
    assert_eq!(history["ok"], true, "another page's requests do no harm to a session: {history}");
    let no_page = request(hub, "GET", HANDSHAKE, &[], "").await?;
    assert_eq!((no_page.status, no_page.header("access-control-allow-origin")), (200, ""));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_is_too_large_is_told_so_and_ends_the_session() -> Result<()> {
    let world = Embedded::start("\n[limits]\nframe = \"32 KiB\"\nbody = \"8 KiB\"\n").await?;
    let mut ada = Polling::connect(&world.hub.listen, "ada").await?;
    let padding = |bytes: usize| format!("42[\"history\",{}{{\"room\":\"lobby\"}}]", " ".repeat(bytes));
    assert_eq!(ada.post(&padding(31 * 1024)).await?.status, 200, "below the limit");
    assert_eq!(ada.ask("history", json!({"room": "lobby"})).await?["ok"], true);
    assert_eq!(ada.post(&padding(33 * 1024)).await?.status, 413);
    assert_eq!(ada.poll().await?.status, 400, "the session is over");
    assert_eq!(ada.emit("history", json!({"room": "lobby"})).await?.status, 400);
    eventually("the close is counted", async || {
        let closes = world.hub.metric("confab_closes_total{reason=\"message size limit\"}").await;
        closes.is_ok_and(|closes| closes == 1.0).then_some(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_is_a_connect_error_with_its_code() -> Result<()> {
    const SECRET: &str = "a secret of the tests, long enough";
    let world = Embedded::start(&format!("hmac_secret = \"{SECRET}\"\n")).await?;
    let token = |claims: Value| {
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key)
    };
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let connect = |token: &str| format!("40{}", json!({ "token": token }));
    let error = |packet: &str| -> Result<(Value, Value)> {
        let mut error: Value = serde_json::from_str(packet.strip_prefix("44").with_context(|| packet.to_owned())?)?;
        Ok((error["message"].take(), error["data"].take()))
    };

    let mut forged = Polling::open(&world.hub.listen).await?;
    forged.post(&connect("forged")).await?;
    let told = error(&forged.packet().await?)?;
    assert_eq!(told, (json!("invalid token"), json!({"code": 3500, "temporary": false})));
    eventually("the session is over", async || (forged.poll().await.ok()?.status == 400).then_some(())).await;

    // One that ran out may be followed by another on the same connection.
    let mut late = Polling::open(&world.hub.listen).await?;
    late.post(&connect(&token(json!({"sub": "ada", "exp": now_s - 60}))?)).await?;
    let told = error(&late.packet().await?)?;
    assert_eq!(told, (json!("token expired"), json!({"code": 109, "temporary": false})));
    late.post(&connect(&token(json!({"sub": "ada", "exp": now_s + 60}))?)).await?;
    assert!(late.packet().await?.starts_with(r#"40{"sid":""#));
    assert_eq!(late.ask("send", json!({"room": "lobby", "body": 1})).await?["ok"], true);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_tells_polling_clients_to_come_back_and_they_miss_nothing() -> Result<()> {
    const CLIENTS: usize = 8;
    let mut world = Embedded::start("").await?;
    let hub = world.hub.listen.clone();
    let mut waiting = Vec::new();
    for n in 0..CLIENTS {
        let mut client = Polling::connect(&hub, &format!("user{n}")).await?;
        let mut cursor = client.ask("join", json!({"room": "lobby"})).await?["cursor"].take();
        let sent = client.ask("send", json!({"room": "lobby", "key": "k", "body": {"n": n}})).await?;
        assert_eq!(sent["ok"], true);
        waiting.push(tokio::spawn(async move {
            let mut told = None;
            // The link ends with the hub: whatever was not heard until then is asked for afterwards.
            while let Ok(packet) = client.packet().await {
                let Some(mut event) = packet.strip_prefix("42").map(serde_json::from_str::<Value>).transpose()? else {
                    continue;
                };
                match event[0].as_str() {
                    Some("event") => cursor = json!({"epoch": event[1]["epoch"], "offset": event[1]["offset"]}),
                    Some("closing") => told = Some(event[1].take()),
                    other => anyhow::bail!("{other:?}"),
                }
            }
            Ok((cursor, told))
        }));
    }
    let ada = Client::connect(&hub, "ada").await?;
    ada.say("lobby", "k", "everybody hears this").await?.unwrap();
    let status = world.hub.stop()?;
    assert!(status.success(), "{status}\n{}", world.hub.said());
    world.hub.start().await?;
    let late = Client::connect(&hub, "ada").await?;
    late.say("lobby", "late", "nobody has heard this").await?.unwrap();

    let mut told = 0;
    for client in waiting {
        let (cursor, closing) = client.await??;
        if let Some(closing) = closing {
            assert_eq!(closing, json!({"code": 3001, "reason": "shutdown", "reconnect": true}));
            told += 1;
        }
        let mut back = Polling::connect(&hub, "user").await?;
        let joined = back.ask("join", json!({"room": "lobby", "since": cursor})).await?;
        assert_eq!(joined["recovered"], true, "{joined}");
        let events = joined["events"].as_array().unwrap();
        let first = cursor["offset"].as_u64().context("it has a place")? + 1;
        let offsets: Vec<_> = events.iter().map(|event| event["offset"].as_u64().unwrap()).collect();
        assert_eq!(offsets, (first..=CLIENTS as u64 + 2).collect::<Vec<_>>());
    }
    assert!(told > 0, "nobody whose poll waited was told to come back");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_hub_accepts_nobody_and_tells_a_client_that_was_between_two_polls() -> Result<()> {
    let mut world = Embedded::start("").await?;
    let hub = world.hub.listen.clone();
    let mut client = Polling::connect(&hub, "ursula").await?;
    client.ask("join", json!({"room": "lobby"})).await?;
    world.hub.terminate()?;
    // Its session waits for its next request, over the connection that it keeps.
    eventually("the hub accepts nobody", async || {
        TcpStream::connect(&hub).await.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused).then_some(())
    })
    .await;
    let closing = client.heard("closing").await?;
    assert_eq!(closing, json!({"code": 3001, "reason": "shutdown", "reconnect": true}));
    let status = world.hub.ended().await;
    assert!(status.success(), "{status}\n{}", world.hub.said());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_moved_to_a_websocket_is_one_session_of_as_many_as_may_be() -> Result<()> {
    let world = Embedded::start("\n[limits]\nsessions = 2\n").await?;
    let hub = &world.hub.listen;
    let polling = Polling::connect(hub, "ursula").await?;
    let socket = polling.upgrade().await?;
    let ada = Client::connect(hub, "ada").await.context("the second of two")?;
    assert!(Client::open(hub).await.is_err(), "a third has no place");
    assert_eq!(request(hub, "GET", HANDSHAKE, &[], "").await?.status, 503);
    ada.say("lobby", "k", "those who are in stay in").await?.unwrap();
    drop(socket);
    let next = eventually("a place is given back", async || Polling::open(hub).await.ok()).await;
    assert!(Client::open(hub).await.is_err(), "and it is one place");
    drop(ada);
    eventually("the other place as well", async || Client::open(hub).await.ok()).await;
    drop(next);
    Ok(())
}
