//! Plugins that misbehave under load: their senders get the policy's answer, and nobody else notices.
//!
//! `CONFAB_TEST_HOSTILE=10` feeds each for ten seconds. What it prints are figures; what it asserts cannot depend on the
//! machine's mood.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::world::{Embedded, plugin};
use serde_json::json;
use std::time::{Duration, Instant};

/// How to misbehave, and the fault that it is.
const MODES: [(&str, &str); 10] = [
    ("loop", "timeout"),
    ("stack", "stack"),
    ("memory", "memory"),
    ("trap", "trap"),
    ("panic", "trap"),
    ("megabytes", "output"),
    ("invalid-utf8", "nonsense"),
    ("not-json", "nonsense"),
    ("bad-code", "nonsense"),
    ("log-flood", ""),
];

/// How often the bad rooms and the good one are spoken in: a hundred times a second.
const BEAT: Duration = Duration::from_millis(10);
/// The most that the hub may grow by, whatever its plugins do.
const GROWTH_MAX: u64 = 600 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn hostile_plugins_under_load_are_answered_counted_and_bounded() -> Result<()> {
    let span = Duration::from_secs_f64(std::env::var("CONFAB_TEST_HOSTILE").map_or(Ok(1.0), |text| text.parse())?);
    let mut toml = String::new();
    for (mode, _) in MODES {
        // The breaker would take them out: here each of them is asked again and again.
        let more = format!("breaker = {{ faults = 0 }}\nsettings = {{ mode = \"{mode}\", n = 1000 }}");
        toml += &plugin(mode, "misbehave", &more)?;
        toml += &format!("[[chain]]\nrooms = [\"bad:{mode}\"]\nplugins = [\"{mode}\"]\n");
    }
    let world = Embedded::start(&toml).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let bob = Client::connect(&world.hub.listen, "bob").await?;
    let pid = world.hub.pid().context("it runs")?;

    let base = p99(&bob, span).await?;
    let before = resident(pid)?;
    println!("{:<14} base  p99 {base:>8.2?}", "");
    for (mode, fault) in MODES {
        let (under, answers) = tokio::join!(p99(&bob, span), feed(&ada, mode, span));
        let (under, (answered, refused)) = (under?, answers?);
        println!("{mode:<14} under p99 {under:>8.2?}, {answered} answered, hub {} MiB", resident(pid)? >> 20);
        assert!(answered > 0);
        if fault.is_empty() {
            assert!(world.hub.metric(&format!("confab_plugin_log_cut_bytes_total{{plugin=\"{mode}\"}}")).await? > 0.0);
            continue;
        }
        assert_eq!(refused, answered, "{mode}: `on_fault` is `reject`");
        // Where the machine is busy, the plugin's clock may end before it has done its worst.
        let counted = |fault: &str| format!("confab_plugin_faults_total{{plugin=\"{mode}\",fault=\"{fault}\"}}");
        let (as_meant, too_late) = (counted(fault), counted("timeout"));
        let seen = world.hub.metric(&as_meant).await.unwrap_or(0.0) + world.hub.metric(&too_late).await.unwrap_or(0.0);
        assert!(seen > 0.0, "{as_meant}");
    }
    let grown = resident(pid)?.saturating_sub(before);
    assert!(grown < GROWTH_MAX, "the hub grew by {} MiB", grown >> 20);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_keeps_failing_is_taken_out_and_said_so() -> Result<()> {
    let more = "breaker = { pause = \"1h\", pause_max = \"1h\" }\nsettings = { mode = \"trap\" }";
    let trap = plugin("trap", "misbehave", more)?;
    let world = Embedded::start(&format!("{trap}[[chain]]\nrooms = [\"bad\"]\nplugins = [\"trap\"]\n")).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    for n in 0..30 {
        assert_eq!(ada.say("bad", &format!("k{n}"), "x").await?.unwrap_err()["code"], 207);
    }
    assert_eq!(world.hub.metric("confab_plugin_breaker{plugin=\"trap\"}").await?, 2.0);
    assert_eq!(world.hub.metric("confab_plugin_skipped_total{plugin=\"trap\"}").await?, 20.0);
    let (status, out, err) = world.hub.verb(&["chain", "status", "--json"])?;
    assert!(status.success(), "{err}");
    let status: serde_json::Value = serde_json::from_str(&out)?;
    let plugin = &status["plugins"][0];
    assert_eq!((&plugin["breaker"], &plugin["faults"], &plugin["skipped"]), (&json!("open"), &json!(10), &json!(20)));
    let said = world.hub.said();
    assert_eq!(said.matches("plugin taken out: it keeps failing").count(), 1, "{said}");
    assert_eq!(said.matches("plugin failed: it crashed").count(), 10, "{said}");
    Ok(())
}

/// What 99 of a hundred receipts in a room without plugins take at most.
async fn p99(client: &Client, span: Duration) -> Result<Duration> {
    let mut beat = tokio::time::interval(BEAT);
    let (begun, mut waiting) = (Instant::now(), Vec::new());
    while begun.elapsed() < span {
        beat.tick().await;
        let (sent, answer) =
            (Instant::now(), client.begin_rpc("send", json!({"room": "good", "body": {"text": "hello"}})));
        waiting.push(tokio::spawn(async move { answer.await.map(|answer| (answer, sent.elapsed())) }));
    }
    let mut took = Vec::new();
    for answer in waiting {
        let (answer, after) = answer.await??;
        assert!(answer.is_ok(), "{answer:?}");
        took.push(after);
    }
    took.sort_unstable();
    Ok(took[(took.len() - 1) * 99 / 100])
}

/// Speaks in the room of a bad plugin; returns how many were answered, and how many of them by its `on_fault`.
async fn feed(client: &Client, mode: &str, span: Duration) -> Result<(usize, usize)> {
    let mut beat = tokio::time::interval(BEAT);
    let (begun, mut waiting) = (Instant::now(), Vec::new());
    while begun.elapsed() < span {
        beat.tick().await;
        let body = json!({"room": format!("bad:{mode}"), "body": {"text": "hello"}});
        waiting.push(tokio::spawn(client.begin_rpc("send", body)));
    }
    let (answered, mut refused) = (waiting.len(), 0);
    for answer in waiting {
        refused += usize::from(answer.await??.is_err_and(|error| error["code"] == 207));
    }
    Ok((answered, refused))
}

/// How much memory a process has, in bytes.
fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process has memory")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
