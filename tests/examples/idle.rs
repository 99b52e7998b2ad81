//! What an idle connection costs a hub in memory: opens sessions that each join a room, and compares its resident size.
//!
//! `cargo run --release -p confab-tests --example idle -- HOST:PORT PID [CONNECTIONS]`, against a development hub.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::eventually;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().context("the first argument is the hub's HOST:PORT")?;
    let pid: u32 = arguments.next().context("the second is its process id")?.parse()?;
    let count: usize = arguments.next().map_or(Ok(1000), |count| count.parse())?;
    let before = resident_kib(pid)?;
    let mut clients = Vec::with_capacity(count);
    for n in 0..count {
        let client = Client::connect(&address, &format!("idle-{n}")).await?;
        client.subscribe(&format!("idle:{}", n % 100), None).await?.map_err(|refused| anyhow::anyhow!("{refused}"))?;
        clients.push(client);
    }
    let mut last = 0;
    let after = eventually("the hub's memory stands still", async || {
        let now = resident_kib(pid).ok()?;
        (std::mem::replace(&mut last, now) == now).then_some(now)
    })
    .await;
    let each = (after.saturating_sub(before)) as f64 / count as f64;
    println(&format!("{count} idle connections: {before} KiB → {after} KiB, {each:.1} KiB each"));
    Ok(())
}

/// The resident set of a process (`VmRSS`), in KiB. The kernel's own memory for sockets is not in it.
fn resident_kib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process has a resident set")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

#[allow(clippy::print_stdout, reason = "this is what the example is for")]
fn println(line: &str) {
    println!("{line}");
}
