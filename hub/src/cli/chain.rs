//! `confab chain …`: which plugins judge a room, what they say of a text, and the tests of hub.toml. Only `status` needs a hub.

use super::{ChainCommand, Exit, Screen, SettingsArgs, TryChain, remote};
use crate::hub::build_chain;
use crate::kv::Kv;
use crate::plugin::{Chain, EventContext, Origin, ShownEffect, dry_run, run_tests};
use confab_config::{Diagnostics, Loaded};
use confab_protocol::{Room, Step};
use serde_json::json;
use std::io;
use std::sync::Arc;

/// Does it.
pub fn run(settings: &SettingsArgs, command: &ChainCommand, screen: &mut Screen<'_>) -> io::Result<Exit> {
    if let ChainCommand::Status(how) = command {
        return remote::chain_status(settings, how, screen);
    }
    let loaded = match settings.load(Vec::new()) {
        Ok(loaded) => loaded,
        Err(errors) => {
            screen.findings(&errors)?;
            return Ok(Exit::Configuration);
        }
    };
    screen.findings(&Diagnostics(loaded.warnings.clone()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let chain = match build_chain(&loaded.config, &loaded.base_dir, Arc::new(()), &Kv::default()).await {
            Ok((chain, _)) => chain,
            Err(error) => {
                screen.findings(&loaded.place(error.problems()))?;
                return Ok(Exit::Configuration);
            }
        };
        match command {
            ChainCommand::Explain { room, json } => explain(&chain, room, *json, screen),
            ChainCommand::Try(asked) => attempt(&chain, asked, screen).await,
            ChainCommand::Status { .. } => Ok(Exit::Done), // was asked of the hub
            ChainCommand::Test { json } => test(&chain, &loaded, *json, screen).await,
        }
    })
}

fn explain(chain: &Chain, room: &str, as_json: bool, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let applies = chain.explain(room);
    if as_json {
        screen.json(&json!({ "room": room, "chain": chain.version(), "plugins": applies }))?;
        return Ok(Exit::Done);
    }
    if applies.is_empty() {
        writeln!(screen.out, "no plugin judges {room}: everything is let through")?;
    }
    for (n, applies) in applies.iter().enumerate() {
        let on: Vec<&str> = applies.on.iter().map(|kind| kind.as_str()).collect();
        let shadow = if applies.shadow { ", only watching" } else { "" };
        let sample = match (applies.sample, applies.asked) {
            (None, _) => String::new(),
            (Some(percent), true) => format!(", in {percent} % of rooms: in this one"),
            (Some(percent), false) => format!(", in {percent} % of rooms: not in this one"),
        };
        writeln!(
            screen.out,
            "{}. {} on {}{shadow}{sample}   (chain {}: {}; module {})",
            n + 1,
            applies.plugin,
            on.join(", "),
            applies.chain,
            applies.rooms.join(" "),
            &applies.hash[..12.min(applies.hash.len())]
        )?;
    }
    Ok(Exit::Done)
}

async fn attempt(chain: &Chain, asked: &TryChain, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let TryChain { room, text, user, on, roles, json: as_json } = asked;
    let room = match Room::new(room) {
        Ok(room) => room,
        Err(error) => {
            writeln!(screen.err, "error: {error}")?;
            return Ok(Exit::Usage);
        }
    };
    let origin = Origin { roles: roles.clone().into(), ..Origin::default() };
    let outcome = dry_run(chain, &room, text, user, EventContext { kind: *on, origin }).await;
    if *as_json {
        screen.json(&json!(outcome))?;
        return Ok(Exit::Done);
    }
    for Step { plugin, verdict, us, shadow, .. } in &outcome.trail.steps {
        let shadow = if *shadow { "  (only watching)" } else { "" };
        writeln!(screen.out, "{plugin:<24} {:<8} {us:>6} µs{shadow}", verdict.as_str())?;
    }
    match (&outcome.text, &outcome.reason) {
        (_, Some(reason)) => {
            let code = outcome.code.map(|code| format!(" {code}")).unwrap_or_default();
            writeln!(screen.out, "→ {}{code}: {reason}", outcome.verdict.as_str())?;
        }
        (Some(left), _) => writeln!(screen.out, "→ {}: {left}", outcome.verdict.as_str())?,
        (None, None) => writeln!(screen.out, "→ {}", outcome.verdict.as_str())?,
    }
    for (name, value) in &outcome.annotations {
        writeln!(screen.out, "  {name} = {}", value.as_str())?;
    }
    for ShownEffect { plugin, effect, text, seconds, room } in &outcome.effects {
        let seconds = seconds.map(|seconds| format!(" for {seconds} s")).unwrap_or_default();
        let room = room.as_ref().map(|room| format!(" in {room}")).unwrap_or_default();
        writeln!(screen.out, "  {plugin} asks: {effect}{seconds}{room}: {text}")?;
    }
    Ok(Exit::Done)
}

async fn test(chain: &Chain, loaded: &Loaded, as_json: bool, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let done = run_tests(chain, &loaded.config.test).await;
    let failed = done.iter().filter(|test| !test.ok).count();
    if as_json {
        screen.json(&json!({ "passed": done.len() - failed, "failed": failed, "tests": done }))?;
    } else {
        for (n, test) in done.iter().enumerate() {
            let mark = if test.ok { "ok  " } else { "FAIL" };
            writeln!(screen.out, "{mark} {}. in {}: {}", n + 1, test.room, test.send)?;
            for line in &test.differences {
                writeln!(screen.out, "       {line}")?;
            }
        }
        writeln!(screen.out, "{} passed, {failed} failed", done.len() - failed)?;
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}
