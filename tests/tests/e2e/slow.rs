//! Clients that do not read, and clients that are gone without a word.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::proxy::{Fault, Proxy};
use confab_tests::world::{Embedded, plugin};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;

/// Memory of a process, in bytes.
pub fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Says long things in the lobby until the hub has closed a session as slow; returns how many were said.
pub async fn say_until_slow_is_closed(world: &Embedded, speaker: &Client) -> Result<usize> {
    let text = "x".repeat(16 * 1024);
    let mut sent = 0;
    while world.hub.metric("confab_closes_total{reason=\"slow\"}").await? == 0.0 {
        for _ in 0..32 {
            sent += 1;
            speaker.say("lobby", &format!("k{sent}"), &text).await?.unwrap();
        }
        assert!(sent < 5000, "a client that takes nothing was not closed");
    }
    Ok(sent)
}

/// A client that has joined the room and reads nothing from then on. The system takes little for it either.
async fn mute(address: &str, room: &str) -> Result<WebSocketStream<TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let stream = socket.connect(address.parse()?).await?;
    let url = format!("ws://{address}/connection/websocket");
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await?;
    for command in
        [json!({"id": 1, "connect": {"data": {"user": "mute"}}}), json!({"id": 2, "subscribe": {"channel": room}})]
    {
        socket.send(command.to_string().into()).await?;
        socket.next().await.context("an answer")??;
    }
    Ok(socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_clients_that_never_read_cost_no_more_memory_than_their_outboxes() -> Result<()> {
    const MUTE: usize = 100;
    const OUTBOX: u64 = 512 * 1024;
    let world = Embedded::start("\n[limits]\noutbox = \"512 KiB\"\n").await?;
    let pid = world.hub.pid().context("it runs")?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    ada.say("crowd", "warm", "everything works").await?.unwrap();
    let mut clients = Vec::new();
    for _ in 0..MUTE {
        clients.push(mute(&world.hub.listen, "crowd").await?);
    }
    let (before, mut most) = (resident(pid)?, 0);
    let text = "x".repeat(30 * 1024);
    let mut sent = 0;
    while world.hub.metric("confab_closes_total{reason=\"slow\"}").await? < MUTE as f64 {
        for _ in 0..16 {
            sent += 1;
            ada.say("crowd", &format!("k{sent}"), &text).await?.unwrap();
        }
        most = most.max(resident(pid)?);
        assert!(sent < 4000, "clients that never read were not closed");
    }
    // docs/reference/bounds.md: the outboxes, and what the hub itself works with.
    let grown = most.saturating_sub(before);
    println!("{sent} messages of 30 KiB to {MUTE} clients that never read: {} KiB more", grown / 1024);
    assert!(grown < MUTE as u64 * OUTBOX + 64 * 1024 * 1024, "the hub took {grown} bytes more");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_gone_without_a_word_is_found_by_its_missing_pong() -> Result<()> {
    let world = Embedded::start("\n[limits]\nping_interval = \"2s\"\npong_timeout = \"1s\"\n").await?;
    let proxy = Proxy::to(&world.hub.listen).await?;
    let gone = Client::connect(&proxy.address.to_string(), "gone").await?;
    gone.subscribe("lobby", None).await?.unwrap();
    let stays = Client::connect(&world.hub.listen, "stays").await?;
    assert_eq!(world.hub.metric("confab_sessions").await?, 2.0);
    proxy.set(Fault::BlackHole);
    eventually("the half-open socket is found", async || {
        let closed = world.hub.metric("confab_closes_total{reason=\"no pong\"}").await.ok()?;
        (closed >= 1.0).then_some(())
    })
    .await;
    eventually("its session is gone", async || {
        world.hub.metric("confab_sessions").await.ok().filter(|sessions| *sessions == 1.0).map(drop)
    })
    .await;
    stays.say("lobby", "k1", "still here").await?.unwrap();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_pong_waits_behind_its_own_messages_is_not_taken_for_gone() -> Result<()> {
    let spin = plugin("spin", "misbehave", "timeout = \"9s\"\nsettings = { mode = \"spin\", n = 700 }")?;
    let limits = "[limits]\nping_interval = \"1s\"\npong_timeout = \"500ms\"\ncommands_in_flight = 1\n";
    let world = Embedded::start(&format!("{limits}{spin}[[chain]]\nplugins = [\"spin\"]\n")).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let begun = Instant::now();
    // Each takes most of a second, and nothing is read meanwhile.
    let answers: Vec<_> = (0..5)
        .map(|n| ada.begin_rpc("send", json!({"room": "lobby", "key": format!("k{n}"), "body": {"text": "hello"}})))
        .collect();
    for answer in answers {
        answer.await?.unwrap();
    }
    assert!(begun.elapsed() > Duration::from_millis(1500), "the first ping's pong was due before the last answer");
    assert_eq!(world.hub.metric("confab_closes_total{reason=\"no pong\"}").await?, 0.0);
    Ok(())
}
