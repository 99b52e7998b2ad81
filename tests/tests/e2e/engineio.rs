//! The second dialect's edges: what is refused, what ends a polling session, and that it comes back whole.

use crate::slow::say_until_slow_is_closed;
use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::polling::{Polling, request};
use confab_tests::stock;
use confab_tests::world::Embedded;
use serde_json::{Value, json};
use std::collections::BTreeSet;
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
        [("access-control-request-method", "POST"), ("access-control-request-headers", "authorization, x-tenant")]
            .as_slice();
    for page in [PAGE, &own] {
        let preflight = request(hub, "OPTIONS", HANDSHAKE, &[&[("origin", page)], asking].concat(), "").await?;
        assert_eq!((preflight.status, preflight.text.as_str()), (204, ""));
        assert_eq!(preflight.header("access-control-allow-methods"), "GET, POST");
        assert_eq!(preflight.header("access-control-allow-headers"), "authorization, x-tenant", "what was asked for");
        let plain = request(hub, "OPTIONS", HANDSHAKE, &[("origin", page)], "").await?;
        assert_eq!(plain.header("access-control-allow-headers"), "content-type");
        let handshake = request(hub, "GET", HANDSHAKE, &[("origin", page)], "").await?;
        assert_eq!(handshake.status, 200);
        for answer in [preflight, handshake] {
            assert_eq!(answer.header("access-control-allow-origin"), page);
            assert_eq!(answer.header("access-control-allow-credentials"), "true");
            assert!(answer.header("vary").contains("origin"));
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
async fn a_post_may_hold_many_packets_and_each_of_them_has_the_frames_limit() -> Result<()> {
    let world = Embedded::start("\n[limits]\nframe = \"32 KiB\"\nbody = \"8 KiB\"\npost = \"256 KiB\"\n").await?;
    let mut ada = Polling::connect(&world.hub.listen, "ada").await?;
    let said = |n: usize| format!("42{n}{}", json!(["send", {"room": "lobby", "body": {"text": "y".repeat(7000)}}]));
    let packets: Vec<String> = (100..130).map(said).collect();
    assert_eq!(ada.post(&packets.join("\x1e")).await?.status, 200, "210 KB in one request");
    let mut acked = BTreeSet::new();
    while acked.len() < packets.len() {
        let packet = ada.packet().await?;
        assert!(packet.contains(r#""ok":true"#), "{packet}");
        acked.insert(packet[2..5].to_owned());
    }
    // A packet that is too large is refused in its acknowledgement, and the others of the same request are not.
    let padded = |n: usize, bytes: usize| format!("42{n}[\"history\",{}{{\"room\":\"empty\"}}]", " ".repeat(bytes));
    let mixed = [padded(200, 33 * 1024), padded(201, 31 * 1024), padded(202, 60 * 1024)];
    assert_eq!(ada.post(&mixed.join("\x1e")).await?.status, 200);
    let mut refused = BTreeSet::new();
    for _ in 0..3 {
        let packet = ada.packet().await?;
        if packet.contains(r#""ok":false"#) {
            assert!(packet.contains(r#""code":106"#) && packet.contains("limits.frame"), "{packet}");
            refused.insert(packet[2..5].to_owned());
        }
    }
    assert_eq!(refused, ["200", "202"].map(str::to_owned).into());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_polling_client_that_sends_far_too_much_hears_why_and_that_it_should_not_come_back() -> Result<()> {
    let limits = "\n[limits]\nframe = \"32 KiB\"\nbody = \"8 KiB\"\npost = \"128 KiB\"\n";
    let world = Embedded::start(limits).await?;
    let padding = |bytes: usize| format!("42[\"history\",{}{{\"room\":\"lobby\"}}]", " ".repeat(bytes));
    for (bytes, status) in [(70 * 1024, 200), (129 * 1024, 413), (4 * 1024 * 1024, 413)] {
        // Its poll waits while it posts, as a stock client's does.
        let ada = Polling::connect(&world.hub.listen, "ada").await?;
        let waiting = ada.waiting();
        let posted = ada.post(&padding(bytes)).await?;
        assert_eq!(posted.status, status, "{bytes} bytes");
        let last = waiting.await??;
        let closing =
            last.packets().find_map(|packet| packet.strip_prefix(r#"42["closing","#)).context(last.text.clone())?;
        assert_eq!(closing, r#"{"code":3506,"reason":"message size limit","reconnect":false}]"#);
        assert!(last.packets().any(|packet| packet == "41"), "stock clients stay away then: {}", last.text);
        assert_eq!(ada.post("3").await?.status, 400, "the session is over");
        // The next GET hears Engine.IO's own end, as the protocol has it, if it comes in time; and then there is nothing.
        let end = ada.poll().await?;
        assert!(end.status == 400 || (end.status, end.text.as_str()) == (200, "1"), "{end:?}");
        assert_eq!(ada.poll().await?.status, 400);
        // One that polls only afterwards hears it as well.
        let late = Polling::connect(&world.hub.listen, "ada").await?;
        assert_eq!(late.post(&padding(bytes)).await?.status, status);
        assert!(late.poll().await?.text.contains("message size limit"));
    }
    eventually("the closes are counted", async || {
        let closes = world.hub.metric("confab_closes_total{reason=\"message size limit\"}").await;
        closes.is_ok_and(|closes| closes == 6.0).then_some(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_let_in_over_polling_is_told_why_each_time() -> Result<()> {
    let mut world = Embedded::start("hmac_secret = \"a secret of the tests, long enough\"\n").await?;
    world.hub.stop()?;
    world.hub.rewrite(|settings| settings.replace("insecure = true", "insecure = false"))?;
    world.hub.start().await?;
    for (auth, code) in [
        ("40", 3500),
        (r#"40{"token":null}"#, 3500),
        (r#"40{"token":""}"#, 3500),
        (r#"40{"token":17}"#, 3500),
        (r#"40{"token":{"a":1}}"#, 3500),
        (r#"40{"token":"forged"}"#, 3500),
        (r#"42["send",{}]"#, 3501),
        (r#"40[]"#, 3501),
        ("4x", 3501),
    ] {
        for n in 0..4 {
            let client = Polling::open(&world.hub.listen).await?;
            let waiting = (n % 2 == 0).then(|| client.waiting());
            client.post(auth).await?;
            let told = match waiting {
                Some(waiting) => waiting.await??,
                None => client.poll().await?,
            };
            assert_eq!(told.status, 200, "{auth}: {}", told.text);
            let error = told.packets().find_map(|packet| packet.strip_prefix("44")).context(told.text.clone())?;
            let error: Value = serde_json::from_str(error)?;
            assert_eq!(error["data"]["code"], code, "{auth}: {error}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_packets_that_do_no_harm_do_not_end_a_session() -> Result<()> {
    let world = Embedded::start("").await?;
    let mut ada = Polling::connect(&world.hub.listen, "ada").await?;
    for (odd, answer) in [
        (r#"4271[1,2]"#, "4371[{\"ok\":false"),       // an event whose name is a number
        (r#"4272[-1.5e3]"#, "4372[{\"ok\":false"),    // and another
        (r#"4273["a",1,2,3]"#, "4373[{\"ok\":false"), // arguments that nothing takes
        (r#"424294967295["send",{}]"#, "42[\"refused\""), // an acknowledgement past 32 bits
        (r#"4299999999999999999999["send",{}]"#, "42[\"refused\""),
        (r#"4299999999999999999999[5]"#, "42[\"refused\""),
        (r#"43["x"]"#, ""),           // an acknowledgement of nothing
        (r#"4377["x"]"#, ""),         // of what we never asked
        (r#"44{"message":"x"}"#, ""), // what only a server says
        (r#"44"x""#, ""),
        (r#"42/elsewhere,["x"]"#, ""), // a namespace that is not there
        (r#"40{"user":"ada"}"#, ""),   // once more
        ("6", ""),
        ("5", ""),
        (r#"0{"sid":"x"}"#, ""),
    ] {
        assert_eq!(ada.post(odd).await?.status, 200, "{odd}");
        if !answer.is_empty() {
            let packet = ada.packet().await?;
            assert!(packet.starts_with(answer), "{odd}: {packet}");
        }
        assert_eq!(ada.ask("send", json!({"room": "lobby", "body": odd})).await?["ok"], true, "after {odd}");
    }
    // More attachments, and more bytes of them, than are read: the event is refused, and what follows it is heard.
    let many = format!("45{}-9{}", 20, json!(["send", {}])) + &"\x1ebAQID".repeat(20);
    assert_eq!(ada.post(&many).await?.status, 200);
    assert!(ada.packet().await?.starts_with("439[{\"ok\":false"));
    let large = "A".repeat(80_000); // 60 000 bytes
    assert_eq!(ada.post(&format!("452-8{}\x1eb{large}\x1eb{large}", json!(["send", {}]))).await?.status, 200);
    let refused = ada.packet().await?;
    assert!(refused.starts_with("438[{\"ok\":false"), "{refused}");
    assert_eq!(ada.ask("send", json!({"room": "lobby", "body": 1})).await?["ok"], true);
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
    let next = eventually("a place is given back", async || Polling::connect(hub, "next").await.ok()).await;
    assert!(Client::open(hub).await.is_err(), "and it is one place");
    drop(ada);
    eventually("the other place as well", async || Client::open(hub).await.ok()).await;
    drop(next);
    Ok(())
}
