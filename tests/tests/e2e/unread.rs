//! Clients that read nothing of what they are told: what is done for them, and what they cost.

use crate::doors::fill;
use crate::slow::resident;
use anyhow::{Context, Result, ensure};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::raw::{Frame, Raw, handshake, opcode};
use confab_tests::world::Embedded;
use serde_json::json;
use tokio::net::TcpSocket;

const PATH: &str = "/connection/websocket";
const MIB: u64 = 1024 * 1024;

/// A WebSocket whose system takes little for it.
async fn narrow(hub: &str, path: &str) -> Result<Raw> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut raw = Raw::over(socket.connect(hub.parse()?).await?)?;
    raw.write(handshake(hub, path, &[]).as_bytes()).await?;
    let head = raw.response().await?;
    ensure!(head.starts_with("HTTP/1.1 101 "), "{head}");
    Ok(raw)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_asks_for_is_not_done_while_it_reads_nothing_of_what_it_is_told() -> Result<()> {
    const COMMANDS: usize = 1000;
    let limits = "frame = \"512 KiB\"\noutbox = \"512 KiB\"\nping_interval = \"1s\"\npong_timeout = \"500ms\"";
    let world = Embedded::start(&format!("\n[limits]\n{limits}\n")).await?;
    let mut raw = narrow(&world.hub.listen, PATH).await?;
    let connect = r#"{"id":1,"connect":{"data":{"user":"ada"}}}"#;
    raw.send(&Frame::new(opcode::TEXT, format!("{connect}\n{{\"id\":2,\"subscribe\":{{\"channel\":\"lobby\"}}}}")))
        .await?;
    raw.text().await?;
    raw.text().await?;
    // Everything it says comes back to it, and it reads none of it.
    let text = "x".repeat(300);
    let say = |id| json!({"id": id, "publish": {"channel": "lobby", "data": {"text": text}}}).to_string();
    raw.send(&Frame::new(opcode::TEXT, (3..3 + COMMANDS).map(say).collect::<Vec<_>>().join("\n"))).await?;
    eventually("its session is over", async || {
        world.hub.metric("confab_sessions").await.ok().filter(|sessions| *sessions == 0.0)
    })
    .await;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let page = ada.rpc("history", json!({"room": "lobby", "limit": 1, "reverse": true})).await?.unwrap();
    let said = page["offset"].as_u64().context("a place")?;
    println!("{said} of {COMMANDS} commands were run");
    assert!((1..COMMANDS as u64 - 200).contains(&said), "{said} of them were said");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_ask_for_pages_and_read_nothing_hold_less_than_their_outboxes() -> Result<()> {
    const MUTE: u64 = 30;
    let world = Embedded::start("").await?;
    fill(&world, "lobby", 300, 30_000).await?;
    let pid = world.hub.pid().context("it runs")?;
    let asks: Vec<String> = (2..60)
        .map(|id| json!({"id": id, "rpc": {"method": "history", "data": {"room": "lobby"}}}).to_string())
        .collect();
    let mut mute = Vec::new();
    let before = resident(pid)?;
    for _ in 0..MUTE {
        let mut raw = narrow(&world.hub.listen, PATH).await?;
        raw.send(&Frame::new(opcode::TEXT, r#"{"id":1,"connect":{"data":{"user":"mute"}}}"#)).await?;
        raw.text().await?;
        raw.send(&Frame::new(opcode::TEXT, asks.join("\n"))).await?;
        mute.push(raw);
    }
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let mut most = 0;
    for n in 0..50 {
        ada.say("elsewhere", &format!("k{n}"), "others are served").await?.unwrap();
        most = most.max(resident(pid)?);
    }
    let grown = most.saturating_sub(before);
    println!("{MUTE} sessions that ask for pages and read nothing: {} KiB each", grown / MUTE / 1024);
    assert!(grown < MUTE * MIB + 24 * MIB, "the hub took {grown} bytes more"); // and what it works with itself
    Ok(())
}
