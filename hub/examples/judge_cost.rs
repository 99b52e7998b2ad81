//! What a plugin's call costs: the word filter with 200 words on a body of 100 bytes, in both isolations.
//!
//! `cargo run --release --example judge_cost -- <folder of plugins>`. Prints microseconds per judged event, one after the
//! other on one task; the figures that the documents quote come from `bench/`.
#![allow(clippy::print_stdout, reason = "this is what the program is for")]

use anyhow::{Context, Result};
use confab_config::{Config, JudgedKind};
use confab_hub::kv::Kv;
use confab_hub::plugin::{Chain, Judged};
use confab_protocol::{Annotations, Body, Event, EventId, Key, Kind, Room, Sender, UserId};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

const CALLS: usize = 20_000;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).context("usage: judge_cost <folder of plugins>")?);
    let words: Vec<String> = (0..200).map(|n| format!("'word{n}'")).collect();
    for (isolation, plugins) in [("none", "[]"), ("message", "['it']"), ("worker", "['it']")] {
        let setting = if isolation == "none" { "message" } else { isolation };
        let toml = format!(
            "[plugin.it]\nmodule = 'word-filter.wasm'\ntimeout = '1s'\nisolation = '{setting}'\n\
             settings = {{ words = [{}] }}\n[[chain]]\nplugins = {plugins}",
            words.join(", ")
        );
        let config: Config = toml::from_str(&toml)?;
        let (chain, _) = Chain::build(&config, &folder, Arc::new(|_| Ok(())), Arc::new(()), &Kv::default()).await?;
        let mut micros = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            let event = event();
            let begin = Instant::now();
            let judged = chain.judge(event, JudgedKind::Send).await;
            micros.push(begin.elapsed().as_nanos() as f64 / 1000.0);
            anyhow::ensure!(matches!(judged, Judged::Approved(_)), "{judged:?}");
        }
        micros.sort_by(f64::total_cmp);
        let (mean, at) = (micros.iter().sum::<f64>() / CALLS as f64, |q: usize| micros[CALLS * q / 100]);
        println!("{isolation:>8}: mean {mean:.2}, p50 {:.2}, p90 {:.2}, p99 {:.2} us", at(50), at(90), at(99));
    }
    Ok(())
}

/// A message whose body takes 100 bytes.
fn event() -> Event {
    let text = "the quick brown fox jumps over the lazy dog, and the dog does not mind it at all, says she";
    Event {
        kind: Kind::Message,
        id: EventId::fresh(),
        room: Room::new("bench").expect("a name"),
        sender: Sender { user: UserId::new("ada").expect("a name"), client: None, info: None },
        key: Key::fresh(),
        digest: String::new(),
        at: 0,
        body: Body::of(&serde_json::json!({ "text": text })),
        target: None,
        thread: None,
        annotations: Annotations::new(),
    }
}
