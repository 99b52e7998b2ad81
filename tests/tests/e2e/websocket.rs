//! The hub's WebSocket against RFC 6455, over sockets written by hand. What the WebSocket got wrong ends the session with the
//! RFC's own codes (1002, 1007, 1009), what the dialect got wrong with the dialect's.

use crate::slow::resident;
use anyhow::{Context, Result};
use confab_tests::raw::{Frame, Raw, handshake, opcode};
use confab_tests::stock::Conformance;
use confab_tests::world::Embedded;
use serde_json::{Value, json};

const PATH: &str = "/connection/websocket";
const LIMITS: &str = "\n[limits]\nframe = \"16 KiB\"\nbody = \"8 KiB\"\n";
const PROTOCOL: Option<u16> = Some(1002);
const NO_TEXT: Option<u16> = Some(1007);
const TOO_LARGE: Option<u16> = Some(1009);
const BAD_REQUEST: Option<u16> = Some(3501);

/// Says who it is, in one frame.
async fn connected(world: &Embedded) -> Result<Raw> {
    let mut raw = Raw::connect(&world.hub.listen, PATH).await?;
    raw.send(&Frame::new(opcode::TEXT, r#"{"id":1,"connect":{"data":{"user":"ada"}}}"#)).await?;
    answered(&raw.text().await?, 1)?;
    Ok(raw)
}

/// The answer to command `id`, which must be no refusal.
fn answered(text: &str, id: u64) -> Result<Value> {
    let answer: Value = serde_json::from_str(text)?;
    anyhow::ensure!(answer["id"] == id && answer.get("error").is_none(), "{answer}");
    Ok(answer)
}

/// A command that says one, two, three and four bytes of UTF-8.
fn say(id: u64) -> String {
    json!({"id": id, "rpc": {"method": "send", "data": {"room": "lobby", "key": format!("k{id}"), "body": "aé文😀"}}})
        .to_string()
}

async fn still_serves(raw: &mut Raw, id: u64) -> Result<()> {
    raw.send(&Frame::new(opcode::TEXT, say(id))).await?;
    answered(&raw.text().await?, id).map(drop)
}

/// What the hub answers to frames of a session that is otherwise well-behaved.
async fn code_after(world: &Embedded, frames: &[Frame]) -> Result<Option<u16>> {
    let mut raw = connected(world).await?;
    for frame in frames {
        raw.send(frame).await?;
    }
    raw.closed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_cut_into_fragments_at_any_byte_is_one_message_and_pings_may_come_between() -> Result<()> {
    let world = Embedded::start(LIMITS).await?;
    let mut raw = connected(&world).await?;
    let length = say(100).len();
    for (id, cut) in (100..).zip(0..=length) {
        let command = say(id);
        let (first, last) = command.as_bytes().split_at(cut);
        let name = format!("between {cut}");
        raw.send(&Frame::first(opcode::TEXT, first)).await?;
        raw.send(&Frame::new(opcode::PING, name.as_bytes())).await?;
        let pong = raw.frame().await.with_context(|| format!("cut at {cut}"))?;
        assert_eq!((pong.opcode, pong.payload.as_slice()), (opcode::PONG, name.as_bytes()));
        raw.send(&Frame::first(opcode::CONTINUATION, "")).await?;
        raw.send(&Frame::new(opcode::CONTINUATION, last)).await?;
        answered(&raw.text().await?, id)?;
    }
    let command = say(900);
    let (first, rest) = command.as_bytes().split_at(1);
    raw.send(&Frame::first(opcode::TEXT, first)).await?;
    for byte in rest {
        raw.send(&Frame::first(opcode::CONTINUATION, [*byte])).await?;
    }
    raw.send(&Frame::new(opcode::CONTINUATION, "")).await?;
    answered(&raw.text().await?, 900)?;

    raw.send(&Frame::new(opcode::TEXT, r#"{"id":901,"rpc":{"method":"history","data":{"room":"lobby"}}}"#)).await?;
    let page = answered(&raw.text().await?, 901)?;
    let events = page["rpc"]["data"]["events"].as_array().context("events")?;
    assert_eq!(events.len(), (length + 2).min(100));
    assert!(events.iter().all(|event| event["body"] == "aé文😀"), "each body is whole");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_and_a_handshake_may_arrive_cut_at_any_byte() -> Result<()> {
    let world = Embedded::start(LIMITS).await?;
    let (mut raw, mut other) = (connected(&world).await?, connected(&world).await?);
    // A round trip on another socket gives the hub the time to read what came before the cut.
    let mut beside = async |n: u64| {
        other.send(&Frame::new(opcode::PING, n.to_be_bytes())).await?;
        assert_eq!(other.frame().await?.payload, n.to_be_bytes());
        anyhow::Ok(())
    };
    let length = Frame::new(opcode::TEXT, say(100)).bytes().len();
    for (id, cut) in (100..).zip(1..length) {
        let bytes = Frame::new(opcode::TEXT, say(id)).bytes();
        raw.write(&bytes[..cut]).await?;
        beside(id).await?;
        raw.write(&bytes[cut..]).await?;
        answered(&raw.text().await?, id).with_context(|| format!("cut at {cut}"))?;
    }
    let request = handshake(&world.hub.listen, PATH, &[]);
    for cut in (1..request.len()).step_by(3) {
        let mut raw = Raw::open(&world.hub.listen).await?;
        raw.write(&request.as_bytes()[..cut]).await?;
        beside(0).await?;
        raw.write(&request.as_bytes()[cut..]).await?;
        let head = raw.response().await.with_context(|| format!("cut at {cut}"))?;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    }
    // The first frame may come in one write with the handshake.
    let mut raw = Raw::open(&world.hub.listen).await?;
    let frame = Frame::new(opcode::TEXT, r#"{"id":1,"connect":{"data":{"user":"ada"}}}"#).bytes();
    raw.write(&[request.as_bytes(), &frame].concat()).await?;
    raw.response().await?;
    answered(&raw.text().await?, 1).map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_are_answered_with_their_payload_and_pongs_that_nobody_asked_for_are_ignored() -> Result<()> {
    let world = Embedded::start(LIMITS).await?;
    let mut raw = connected(&world).await?;
    for payload in [vec![], vec![0xff; 1], vec![0; 125]] {
        raw.send(&Frame::new(opcode::PING, payload.clone())).await?;
        let pong = raw.frame().await?;
        assert_eq!((pong.opcode, pong.payload), (opcode::PONG, payload));
    }
    for payload in [vec![], vec![0; 125]] {
        raw.send(&Frame::new(opcode::PONG, payload)).await?;
    }
    still_serves(&mut raw, 2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_break_the_protocol_end_the_session() -> Result<()> {
    let world = Embedded::start(LIMITS).await?;
    let text = |payload: &str| Frame::new(opcode::TEXT, payload);
    let mut broken = vec![
        ("not masked", vec![Frame { mask: None, ..text("{}") }]),
        ("a ping that is not masked", vec![Frame { mask: None, ..Frame::new(opcode::PING, "") }]),
        ("a part of nothing", vec![Frame::new(opcode::CONTINUATION, "{}")]),
        ("another part of nothing", vec![Frame::first(opcode::CONTINUATION, "{}")]),
        ("a message within another", vec![Frame::first(opcode::TEXT, "{"), text("}")]),
        ("a part within another message", vec![Frame::first(opcode::TEXT, "{"), Frame::first(opcode::BINARY, "}")]),
        ("a ping in parts", vec![Frame::first(opcode::PING, "")]),
        ("a close in parts", vec![Frame::first(opcode::CLOSE, "")]),
        ("a ping of 126 bytes", vec![Frame::new(opcode::PING, vec![0; 126])]),
    ];
    for reserved in 1..8 {
        broken.push(("a reserved bit", vec![Frame { reserved, ..text("{}") }]));
    }
    broken.push(("a reserved bit of a ping", vec![Frame { reserved: 4, ..Frame::new(opcode::PING, "") }]));
    for code in (0x3..=0x7).chain(0xB..=0xF) {
        broken.push(("a reserved opcode", vec![Frame::new(code, "")]));
    }
    for (what, frames) in broken {
        let code = code_after(&world, &frames).await.with_context(|| format!("{what}: {frames:?}"))?;
        assert_eq!(code, PROTOCOL, "{what}: {frames:?}");
    }
    let bytes = code_after(&world, &[Frame::new(opcode::BINARY, "{}")]).await?;
    assert_eq!(bytes, BAD_REQUEST, "bytes are a good message, but not of this dialect");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_no_utf_8_ends_the_session_wherever_it_is_cut() -> Result<()> {
    let world = Embedded::start(LIMITS).await?;
    let bad: [&[u8]; 9] = [
        b"\xff",
        b"{\x80}",
        b"\xc0\xaf",             // too long for what it says
        b"\xe0\x80\xaf",         // the same
        b"\xed\xa0\x80",         // half of a pair
        b"\xf4\x90\x80\x80",     // past the last character
        b"\xf8\x88\x80\x80\x80", // a length that is none
        b"\xe6\x96",             // without its end
        "文".as_bytes().split_at(2).0,
    ];
    for bytes in bad {
        let code = code_after(&world, &[Frame::new(opcode::TEXT, bytes)]).await;
        assert_eq!(code.with_context(|| format!("{bytes:x?}"))?, NO_TEXT, "{bytes:x?}");
        for cut in 0..=bytes.len() {
            let (first, last) = bytes.split_at(cut);
            let parts = [Frame::first(opcode::TEXT, first), Frame::new(opcode::CONTINUATION, last)];
            let code = code_after(&world, &parts).await;
            assert_eq!(code.with_context(|| format!("{bytes:x?} cut at {cut}"))?, NO_TEXT, "{bytes:x?} {cut}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_when_it_is_announced_and_in_parts_as_well() -> Result<()> {
    let world = Embedded::start(LIMITS).await?;
    const LIMIT: usize = 16 * 1024;
    let padded = |bytes: usize| format!("{}{}", say(2), " ".repeat(bytes - say(2).len()));
    let mut raw = connected(&world).await?;
    raw.send(&Frame::new(opcode::TEXT, padded(LIMIT))).await?;
    answered(&raw.text().await?, 2)?;

    for length in [2 * LIMIT as u64 + 1, 1 << 20, 1 << 40, u64::MAX >> 1] {
        let mut raw = connected(&world).await?;
        raw.write(&Frame::new(opcode::TEXT, "").head(length)).await?;
        assert_eq!(raw.closed().await.with_context(|| format!("{length} bytes"))?, TOO_LARGE, "{length} bytes");
    }
    let parts = padded(2 * LIMIT + 1);
    let (first, last) = parts.as_bytes().split_at(LIMIT - 10);
    let parts = [Frame::first(opcode::TEXT, first), Frame::new(opcode::CONTINUATION, last)];
    assert_eq!(code_after(&world, &parts).await?, TOO_LARGE);
    let crumbs: Vec<_> = (0..9).map(|_| Frame::first(opcode::CONTINUATION, vec![b' '; LIMIT / 4])).collect();
    assert_eq!(code_after(&world, &[vec![Frame::first(opcode::TEXT, "")], crumbs].concat()).await?, TOO_LARGE);

    let mut raw = connected(&world).await?;
    raw.write(&Frame::new(opcode::TEXT, "").head(u64::MAX)).await?; // the highest bit must not be set
    let code = raw.closed().await?;
    assert!(code == TOO_LARGE || code == PROTOCOL, "{code:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_up_to_twice_too_large_is_refused_command_by_command_and_the_session_goes_on() -> Result<()> {
    let world = Embedded::start(LIMITS).await?;
    const LIMIT: usize = 16 * 1024;
    let mut raw = connected(&world).await?;
    for (id, bytes) in [(2, LIMIT + 1), (3, 2 * LIMIT)] {
        let padded = format!("{}{}", say(id), " ".repeat(bytes - say(id).len()));
        raw.send(&Frame::new(opcode::TEXT, padded)).await?;
        let refused: Value = serde_json::from_str(&raw.text().await?)?;
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(id), &json!(106)), "{refused}");
        let why = refused["error"]["message"].as_str().context("a message")?;
        assert!(why.contains("limits.frame") && why.contains("16 KiB"), "{why}");
    }
    // Of several commands in one message each is refused, and none is run.
    let many: Vec<String> = (10..13).map(|id| format!("{}{}", say(id), " ".repeat(6 * 1024))).collect();
    raw.send(&Frame::new(opcode::TEXT, many.join("\n"))).await?;
    for id in 10..13 {
        let refused: Value = serde_json::from_str(&raw.text().await?)?;
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(id), &json!(106)));
    }
    still_serves(&mut raw, 20).await?;
    // Where there is no command to refuse, the close says why, and is none from which a client comes back.
    let junk = Frame::new(opcode::TEXT, "x".repeat(LIMIT + 1));
    assert_eq!(code_after(&world, &[junk]).await?, Some(3506));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_still_sending_what_is_too_large_hears_why_it_is_closed() -> Result<()> {
    let world = Embedded::start(LIMITS).await?;
    for bytes in [100_000, 1_000_000] {
        let mut raw = connected(&world).await?;
        raw.send(&Frame::new(opcode::TEXT, vec![b' '; bytes])).await?;
        assert_eq!(raw.closed().await?, TOO_LARGE, "{bytes} bytes");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_pings_without_a_pause_is_closed_whether_or_not_it_reads() -> Result<()> {
    let world = Embedded::start(LIMITS).await?;
    let mut raw = connected(&world).await?;
    let pings: Vec<u8> = (0..2000).flat_map(|_| Frame::new(opcode::PING, vec![7; 125]).bytes()).collect();
    raw.write(&pings).await?;
    assert_eq!(raw.closed().await?, Some(1008));
    let mut raw = connected(&world).await?;
    let pongs: Vec<u8> = (0..2000).flat_map(|_| Frame::new(opcode::PONG, "").bytes()).collect();
    raw.write(&pongs).await?;
    assert_eq!(raw.closed().await?, Some(1008));

    // Nothing is read from here on, before anybody said who they are: the system's own buffers fill, and then ours.
    let pid = world.hub.pid().context("it runs")?;
    let mut raw = Raw::connect(&world.hub.listen, PATH).await?;
    let (before, mut most, mut written) = (resident(pid)?, 0, 0);
    while written < 256 * 1024 * 1024 && raw.write(&pings).await.is_ok() {
        written += pings.len();
        most = most.max(resident(pid)?);
    }
    let grown = most.saturating_sub(before);
    println!("{} KiB of pings that nobody reads the answers to: {} KiB more", written / 1024, grown / 1024);
    assert!(written < 256 * 1024 * 1024, "a flood of pings is not closed");
    assert!(grown < 2 * 1024 * 1024, "the hub took {grown} bytes more");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_is_answered_with_a_close_and_the_link_ends() -> Result<()> {
    let world = Embedded::start(LIMITS).await?;
    let close = |code: u16, reason: &str| Frame::new(opcode::CLOSE, [&code.to_be_bytes(), reason.as_bytes()].concat());
    for code in [1000, 1001, 1007, 1011, 3000, 3999, 4000, 4999] {
        assert_eq!(code_after(&world, &[close(code, "bye, 文")]).await?, Some(code));
    }
    assert_eq!(code_after(&world, &[Frame::new(opcode::CLOSE, "")]).await?, None);
    // What follows a close is not looked at.
    assert_eq!(code_after(&world, &[close(1000, ""), Frame::new(0xF, "")]).await?, Some(1000));
    // In the middle of a message as well.
    assert_eq!(code_after(&world, &[Frame::first(opcode::TEXT, "{"), close(1000, "")]).await?, Some(1000));
    for (what, frame) in [
        ("half a code", Frame::new(opcode::CLOSE, [3])),
        ("a reason that is no text", Frame::new(opcode::CLOSE, [3, 232, 0xff])),
        ("a close of 126 bytes", close(1000, &"x".repeat(124))),
    ] {
        let code = code_after(&world, &[frame]).await.context(what)?;
        assert!(matches!(code, Some(1002 | 1007)), "{what}: {code:?}");
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2999, 5000, 65535] {
        let answer = code_after(&world, &[close(code, "")]).await.with_context(|| format!("code {code}"))?;
        assert_eq!(answer, PROTOCOL, "code {code}, which nobody may send");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_none_is_told_what_it_lacks() -> Result<()> {
    let world = Embedded::start(LIMITS).await?;
    let hub = &world.hub.listen;
    let status = async |request: String| {
        let mut raw = Raw::open(hub).await?;
        raw.write(request.as_bytes()).await?;
        raw.response().await
    };
    let with = |name, value| handshake(hub, PATH, &[(name, value)]);
    for (request, wanted) in [
        (with("Connection", ""), "400"),
        (with("Connection", "keep-alive"), "400"),
        (with("Upgrade", ""), "400"),
        (with("Upgrade", "h2c"), "400"),
        (with("Sec-WebSocket-Key", ""), "400"),
        (with("Sec-WebSocket-Key", "short"), "400"),
        (with("Sec-WebSocket-Key", "c2l4dGVlbiBieXRlcyBhbmQgbW9yZQ=="), "400"),
        (with("Sec-WebSocket-Version", ""), "426"),
        (with("Sec-WebSocket-Version", "8"), "426"),
        (handshake(hub, PATH, &[]).replacen("GET", "POST", 1), "405"),
        (handshake(hub, PATH, &[]).replacen("HTTP/1.1", "HTTP/1.0", 1), "400"),
        (with("Connection", "keep-alive, UPGRADE"), "101"),
        (with("Upgrade", "WebSocket"), "101"),
    ] {
        let head = status(request.clone()).await?;
        assert!(head.split(' ').nth(1) == Some(wanted), "{request}{head}");
        let names_version = head.to_ascii_lowercase().contains("sec-websocket-version: 13");
        assert_eq!(names_version, wanted == "426", "{head}");
        assert!(!head.to_ascii_lowercase().contains("sec-websocket-extensions"), "none was agreed on: {head}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_mebibytes_in_many_fragments_come_back_whole() -> Result<()> {
    const PART: usize = 4099; // no power of two, so that parts and buffers do not line up
    let server = Conformance::start().await?;
    let mut raw = Raw::connect(&server.bare, "/").await?;
    let message: Vec<u8> = (0..16 * 1024 * 1024_u32).map(|n| (n % 251) as u8).collect();
    let mut parts = message.chunks(PART).peekable();
    let mut code = opcode::BINARY;
    while let Some(part) = parts.next() {
        raw.send(&Frame { last: parts.peek().is_none(), ..Frame::new(code, part) }).await?;
        code = opcode::CONTINUATION;
    }
    let mut back = raw.frame().await?;
    assert_eq!(back.opcode, opcode::BINARY);
    while !back.last {
        let part = raw.frame().await?;
        assert_eq!(part.opcode, opcode::CONTINUATION);
        back.payload.extend(part.payload);
        back.last = part.last;
    }
    assert!(back.payload == message, "{} bytes came back changed", back.payload.len());
    Ok(())
}
