//! The door: what comes in before anybody has said who they are, how much one client or one address may take, and what is
//! said of those who are refused.

use crate::slow::resident;
use anyhow::{Context, Result, ensure};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::polling::{Polling, request};
use confab_tests::raw::{Frame, Raw, handshake, opcode};
use confab_tests::world::Embedded;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const PATH: &str = "/connection/websocket";
const HANDSHAKE: &str = "EIO=4&transport=polling";
const MIB: u64 = 1024 * 1024;

/// Fills a room with as many messages of so many bytes.
pub async fn fill(world: &Embedded, room: &str, count: usize, bytes: usize) -> Result<()> {
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let text = "x".repeat(bytes);
    for n in 0..count {
        ada.say(room, &format!("k{n}"), &text).await?.unwrap();
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_is_larger_than_a_quarter_of_the_outbox_and_paging_goes_on_to_the_end() -> Result<()> {
    const QUARTER: usize = 64 * 1024;
    let world = Embedded::start("\n[limits]\noutbox = \"256 KiB\"\n").await?;
    fill(&world, "lobby", 40, 10_000).await?;
    fill(&world, "large", 3, 30_000).await?;
    let mut raw = Raw::connect(&world.hub.listen, PATH).await?;
    raw.send(&Frame::new(opcode::TEXT, r#"{"id":1,"connect":{"data":{"user":"ada"}}}"#)).await?;
    raw.text().await?;
    let mut ask = async |id: u64, command: Value| -> Result<Value> {
        let mut command = command;
        command["id"] = id.into();
        raw.send(&Frame::new(opcode::TEXT, command.to_string())).await?;
        let text = raw.text().await?;
        ensure!(text.len() <= QUARTER, "an answer of {} bytes to {command}", text.len());
        Ok(serde_json::from_str(&text)?)
    };
    // Our verb says where to go on.
    for reverse in [false, true] {
        let (mut seen, mut since, mut pages) = (BTreeSet::new(), Value::Null, 0);
        loop {
            let data = json!({"room": "lobby", "since": since, "reverse": reverse, "limit": 300});
            let mut page = ask(10, json!({"rpc": {"method": "history", "data": data}})).await?;
            let page = page["rpc"]["data"].take();
            seen.extend(page["events"].as_array().context("events")?.iter().map(|event| event["offset"].as_u64()));
            pages += 1;
            since = page["next"].clone();
            if since.is_null() {
                break;
            }
            ensure!(pages < 40, "it does not come to an end");
        }
        assert_eq!(seen, (1..=40).map(Some).collect(), "reverse: {reverse}");
        assert!((7..12).contains(&pages), "{pages} pages");
    }
    // The protocol's own command: a client goes on from the last publication until it has the place that the page names.
    let (mut at, mut epoch) = (0, String::new());
    loop {
        let history = json!({"channel": "lobby", "limit": 300, "since": {"offset": at, "epoch": epoch}});
        let page = ask(11, json!({"history": history})).await?;
        let publications = page["history"]["publications"].as_array().context("publications")?;
        assert_eq!(publications.first().context("one at least")?["offset"], at + 1);
        at = publications.last().context("one")?["offset"].as_u64().context("a place")?;
        page["history"]["epoch"].as_str().context("an epoch")?.clone_into(&mut epoch);
        if page["history"]["offset"] == at {
            break;
        }
    }
    assert_eq!(at, 40);
    // What is recovered comes in answers and publications of which none is larger, either.
    let recover = json!({"channel": "lobby", "recover": true, "epoch": epoch, "offset": 0});
    let joined = ask(12, json!({"subscribe": recover})).await?;
    assert_eq!(joined["subscribe"]["recovered"], true, "{joined}");
    let large = ask(13, json!({"rpc": {"method": "history", "data": {"room": "large"}}})).await;
    assert!(large.is_ok());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_of_nothing_but_commands_costs_little_and_ends_the_session() -> Result<()> {
    let world = Embedded::start("").await?;
    let pid = world.hub.pid().context("it runs")?;
    let before = resident(pid)?;
    let path = format!("{PATH}?format=protobuf");
    for _ in 0..50 {
        let mut raw = Raw::connect(&world.hub.listen, &path).await?;
        raw.send(&Frame::new(opcode::BINARY, vec![0; 64 * 1024])).await?; // 65 536 empty commands
        assert_eq!(raw.code().await?, Some(3501));
        let mut raw = Raw::connect(&world.hub.listen, PATH).await?;
        raw.send(&Frame::new(opcode::TEXT, "{}\n".repeat(21_000))).await?;
        assert_eq!(raw.code().await?, Some(3501));
    }
    let grown = resident(pid)?.saturating_sub(before);
    println!("100 frames of 64 KiB of commands: {} KiB more", grown / 1024);
    assert!(grown < 4 * MIB, "the hub took {grown} bytes more");
    // As many as a client has rooms to come back to are no breach.
    let mut raw = Raw::connect(&world.hub.listen, PATH).await?;
    let many: Vec<String> =
        (2..1000).map(|id| format!(r#"{{"id":{id},"unsubscribe":{{"channel":"r{id}"}}}}"#)).collect();
    let connect = r#"{"id":1,"connect":{"data":{"user":"ada"}}}"#;
    raw.send(&Frame::new(opcode::TEXT, format!("{connect}\n{}", many.join("\n")))).await?;
    for id in 1..1000 {
        let answer: Value = serde_json::from_str(&raw.text().await?)?;
        assert!(answer["id"] == id && answer.get("error").is_none(), "{answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_say_who_they_are_take_no_session_from_those_who_do() -> Result<()> {
    let world = Embedded::start("\n[limits]\nsessions = 5\nunconnected = 20\n").await?;
    let hub = &world.hub.listen;
    for n in 0..20 {
        let answer = request(hub, "GET", HANDSHAKE, &[], "").await?;
        assert_eq!(answer.status, 200, "handshake {n}: {}", answer.text);
    }
    let full = request(hub, "GET", HANDSHAKE, &[], "").await?;
    assert_eq!(full.status, 503);
    assert!(full.header("retry-after").parse::<u32>()? > 0, "it says when to come back");
    // WebSockets are not in their way, and sessions are not, either.
    let mut idle = Vec::new();
    for _ in 0..15 {
        idle.push(Client::open(hub).await?);
    }
    let mut sessions = Vec::new();
    for n in 0..5 {
        sessions.push(Client::connect(hub, &format!("user{n}")).await?);
    }
    assert!(Client::open(hub).await.is_err(), "all sessions are taken");
    // One that was there before, and connects now, is closed with a code from which it comes back.
    let late = idle.pop().context("one of them")?;
    drop(late.begin("connect", json!({"data": {"user": "late"}})));
    let mut late = late;
    assert_eq!(late.close_code().await?, 3013);
    assert_eq!(world.hub.metric("confab_refused_clients_total{reason=\"session limit\"}").await?, 1.0);
    sessions.into_iter().for_each(Client::cut);
    eventually("a session is given back", async || Client::connect(hub, "next").await.ok()).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_a_share_of_the_hub_and_a_proxy_says_whose_it_is() -> Result<()> {
    let limits = "\n[limits]\nconnections_per_address = 5\n";
    let world = Embedded::start(limits).await?;
    let hub = &world.hub.listen;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(Client::connect(hub, "ada").await?);
    }
    let sixth = request(hub, "GET", HANDSHAKE, &[], "").await?;
    assert_eq!((sixth.status, sixth.header("retry-after").is_empty()), (429, false));
    let spoofed = request(hub, "GET", HANDSHAKE, &[("x-forwarded-for", "192.0.2.1")], "").await?;
    assert_eq!(spoofed.status, 429, "who is no trusted proxy may write what they like");
    let reason = "confab_refused_clients_total{reason=\"connection limit of an address\"}";
    assert_eq!(world.hub.metric(reason).await?, 2.0);
    assert!(world.hub.said().contains("connection limit of an address"), "{}", world.hub.said());
    held.pop().context("one of them")?.cut();
    eventually("there is room again", async || Client::connect(hub, "ada").await.ok()).await;

    let mut world = Embedded::start(limits).await?;
    world.hub.stop()?;
    world.hub.rewrite(|settings| format!("trusted_proxies = [\"127.0.0.0/8\"]\n{settings}"))?;
    world.hub.start().await?;
    let hub = &world.hub.listen;
    let from = async |hops: &str| request(hub, "GET", HANDSHAKE, &[("x-forwarded-for", hops)], "").await;
    for n in 0..5 {
        assert_eq!(
            from(&format!("198.51.100.{n}, 192.0.2.1")).await?.status,
            200,
            "the first is the client's own word"
        );
    }
    assert_eq!(from("192.0.2.1").await?.status, 429);
    assert_eq!(from("192.0.2.1, 127.0.0.9").await?.status, 429, "two proxies in a row");
    assert_eq!(from("192.0.2.2").await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_connects_too_often_is_told_when_to_come_back() -> Result<()> {
    let world = Embedded::start("\n[limits]\nhandshakes_per_address = 1\n").await?;
    let hub = &world.hub.listen;
    let mut statuses = Vec::new();
    for _ in 0..14 {
        let answer = request(hub, "GET", HANDSHAKE, &[], "").await?;
        assert_eq!(answer.status == 429, !answer.header("retry-after").is_empty());
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..10], [200; 10], "ten seconds' worth at once");
    assert!(statuses[10..].contains(&429), "{statuses:?}");
    assert!(Client::open(hub).await.is_err(), "however they come");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_for_development_serves_nobody_who_comes_under_a_name_of_the_web() -> Result<()> {
    let mut world = Embedded::start("hmac_secret = \"a secret of the tests, long enough\"\n").await?;
    let port = world.hub.listen.rsplit_once(':').context("a port")?.1.to_owned();
    let upgraded = async |hub: &str, host: &str| -> Result<bool> {
        let mut raw = Raw::open(hub).await?;
        let origin = format!("http://{host}");
        let request = handshake(hub, PATH, &[("Host", host)]).replacen("\r\n", &format!("\r\nOrigin: {origin}\r\n"), 1);
        raw.write(request.as_bytes()).await?;
        Ok(raw.response().await?.starts_with("HTTP/1.1 101 "))
    };
    let hub = world.hub.listen.clone();
    for own in ["localhost", "127.0.0.1", "[::1]", "app.localhost"] {
        assert!(upgraded(&hub, &format!("{own}:{port}")).await?, "{own}");
    }
    for foreign in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.0.9"] {
        let host = format!("{foreign}:{port}");
        assert!(!upgraded(&hub, &host).await?, "{foreign}");
        for (method, query) in [("GET", HANDSHAKE), ("OPTIONS", HANDSHAKE), ("POST", "EIO=4&transport=polling&sid=x")] {
            let answer = request(&hub, method, query, &[("host", &host)], "").await?;
            assert_eq!(answer.status, 403, "{method} from {foreign}: {}", answer.text);
        }
    }
    assert!(world.hub.metric("confab_refused_clients_total{reason=\"host\"}").await? >= 16.0);
    // With tokens a hub has whatever name it is given.
    world.hub.stop()?;
    world.hub.rewrite(|settings| settings.replace("insecure = true", "insecure = false"))?;
    world.hub.start().await?;
    assert!(upgraded(&hub, "chat.example.com").await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_refused_is_counted_and_named_in_a_line_that_is_short_and_one_of_a_few() -> Result<()> {
    let world = Embedded::start("hmac_secret = \"a secret of the tests, long enough\"\n").await?;
    let hub = &world.hub.listen;
    let long = format!("https://evil.example/{}", "a".repeat(15_000));
    for n in 0..60 {
        let answer = request(hub, "GET", HANDSHAKE, &[("origin", &long)], "").await?;
        assert_eq!(answer.status, 403);
        let unknown = request(hub, "GET", &format!("{HANDSHAKE}&sid=unknown%0a{n}"), &[], "").await?;
        assert_eq!(unknown.status, 400);
        let mut forged = Client::open(hub).await?;
        forged.raw(r#"{"id":1,"connect":{"token":"forged"}}"#)?;
        assert_eq!(forged.close_code().await?, 3500);
        let mut broken = Client::open(hub).await?;
        broken.raw(r#"{"id":1,"evil\u001b[31mmethod":}"#)?;
        assert_eq!(broken.close_code().await?, 3501);
    }
    for (reason, most) in [("origin", 20), ("unknown session over polling", 20), ("malformed", 20), ("bad request", 20)]
    {
        let (of, words) = match reason {
            "malformed" => ("tokens", "token refused"),
            _ => ("clients", "client refused"),
        };
        let count = world.hub.metric(&format!("confab_refused_{of}_total{{reason=\"{reason}\"}}")).await?;
        assert_eq!(count, 60.0, "{reason}");
        let said = world.hub.said();
        let lines: Vec<&str> = said.lines().filter(|line| line.contains(&format!("\"reason\":\"{reason}\""))).collect();
        assert!((1..=most).contains(&lines.len()), "{reason}: {} lines", lines.len());
        for line in lines {
            assert!(line.contains(words) && line.contains("127.0.0.1"), "{line}");
            assert!(line.len() < 700, "a line of {} bytes: {line}", line.len());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_may_idle_between_two_requests_as_long_as_the_setting_says() -> Result<()> {
    let world = Embedded::start("\n[limits]\nkeep_alive = \"1s\"\n").await?;
    let hub = &world.hub.listen;
    let mut raw = Raw::open(hub).await?;
    for _ in 0..3 {
        raw.write(
            format!("POST /socket.io/?{HANDSHAKE}&sid=x HTTP/1.1\r\nHost: {hub}\r\nContent-Length: 1\r\n\r\n6")
                .as_bytes(),
        )
        .await?;
        let head = raw.response().await?;
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        let length = head
            .to_ascii_lowercase()
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next().and_then(|length| length.parse().ok()));
        raw.skip(length.context("a length")?).await?;
    }
    raw.ended().await.context("it is closed in the end")?;
    // A session over it is not in question.
    let mut ada = Polling::connect(hub, "ada").await?;
    assert_eq!(ada.ask("send", json!({"room": "lobby", "body": 1})).await?["ok"], true);
    Ok(())
}
