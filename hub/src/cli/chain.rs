//! `confab chain …`: which plugins judge a room, what they say of a text, and the tests of hub.toml. Needs no hub.

use super::run::causes;
use super::{ChainCommand, Exit, Screen, SettingsArgs};
use crate::hub::build_chain;
use crate::kv::Kv;
use crate::plugin::{Chain, Judged};
use confab_config::{ChainTest, Diagnostics, JudgedKind, Loaded};
use confab_protocol::{Annotations, Body, Event, EventId, Key, Kind, Room, Sender, Step, Trail, UserId, VerdictName};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;

/// Does it.
pub fn run(settings: &SettingsArgs, command: &ChainCommand, screen: &mut Screen<'_>) -> io::Result<Exit> {
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
                writeln!(screen.err, "error: {}", causes(&error))?;
                return Ok(Exit::Configuration);
            }
        };
        match command {
            ChainCommand::Explain { room, json } => explain(&chain, room, *json, screen),
            ChainCommand::Try { room, text, user, json } => attempt(&chain, room, text, user, *json, screen).await,
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
        let on: Vec<&str> = applies.on.iter().map(|kind| kind_name(*kind)).collect();
        let shadow = if applies.shadow { ", only watching" } else { "" };
        writeln!(
            screen.out,
            "{}. {} on {}{shadow}   (chain {}: {}; module {})",
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

fn kind_name(kind: JudgedKind) -> &'static str {
    match kind {
        JudgedKind::Send => "send",
        JudgedKind::Edit => "edit",
        JudgedKind::Delete => "delete",
        JudgedKind::React => "react",
    }
}

/// What came of judging a text.
struct Outcome {
    verdict: VerdictName,
    text: Option<String>,
    code: Option<u32>,
    reason: Option<String>,
    annotations: Annotations,
    trail: Trail,
}

async fn judge(chain: &Chain, room: &Room, text: &str, user: &UserId) -> Outcome {
    let body = Body::of(&json!({ "text": text }));
    let event = Event {
        kind: Kind::Message,
        id: EventId::fresh(),
        room: room.clone(),
        sender: Sender { user: user.clone(), client: None, info: None },
        key: Key::fresh(),
        digest: String::new(),
        at: crate::auth::now_s() * 1000,
        body,
        target: None,
        thread: None,
        annotations: Annotations::new(),
    };
    let none = Outcome {
        verdict: VerdictName::Accept,
        text: None,
        code: None,
        reason: None,
        annotations: Annotations::new(),
        trail: Trail::default(),
    };
    match chain.judge(event, JudgedKind::Send).await {
        Judged::Approved(approved) => {
            let left = approved.event.body.text();
            let verdict = if left.as_deref() == Some(text) { VerdictName::Accept } else { VerdictName::Replace };
            let left = left.or_else(|| Some(approved.event.body.as_str().to_owned()));
            Outcome { verdict, text: left, annotations: approved.event.annotations, trail: approved.trail, ..none }
        }
        Judged::Refused(refusal, trail) => {
            let (code, reason) = (Some(refusal.code()), Some(refusal.message().into_owned()));
            Outcome { verdict: VerdictName::Reject, code, reason, trail, ..none }
        }
        Judged::Held { reason, trail, .. } => {
            Outcome { verdict: VerdictName::Hold, reason: Some(reason), trail, ..none }
        }
    }
}

async fn attempt(
    chain: &Chain,
    room: &str,
    text: &str,
    user: &UserId,
    as_json: bool,
    screen: &mut Screen<'_>,
) -> io::Result<Exit> {
    let room = match Room::new(room) {
        Ok(room) => room,
        Err(error) => {
            writeln!(screen.err, "error: {error}")?;
            return Ok(Exit::Usage);
        }
    };
    let outcome = judge(chain, &room, text, user).await;
    if as_json {
        screen.json(&json!({
            "verdict": outcome.verdict.as_str(),
            "text": outcome.text,
            "code": outcome.code,
            "reason": outcome.reason,
            "annotations": outcome.annotations,
            "trail": outcome.trail,
        }))?;
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
    Ok(Exit::Done)
}

async fn test(chain: &Chain, loaded: &Loaded, as_json: bool, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let tests = &loaded.config.test;
    let tester = UserId::new("tester").expect("this is a user id");
    let mut results: Vec<Value> = Vec::new();
    for (n, test) in tests.iter().enumerate() {
        let found = match Room::new(&test.room) {
            Ok(room) => differences(test, &judge(chain, &room, &test.send, &tester).await),
            Err(error) => vec![error.to_string()],
        };
        if !as_json {
            let mark = if found.is_empty() { "ok  " } else { "FAIL" };
            writeln!(screen.out, "{mark} {}. in {}: {}", n + 1, test.room, test.send)?;
            for line in &found {
                writeln!(screen.out, "       {line}")?;
            }
        }
        results.push(json!({ "room": test.room, "send": test.send, "ok": found.is_empty(), "differences": found }));
    }
    let failed = results.iter().filter(|result| result["ok"] == false).count();
    if as_json {
        screen.json(&json!({ "passed": results.len() - failed, "failed": failed, "tests": results }))?;
    } else {
        writeln!(screen.out, "{} passed, {failed} failed", results.len() - failed)?;
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}

fn differences(test: &ChainTest, outcome: &Outcome) -> Vec<String> {
    let mut found = Vec::new();
    let expect = &test.expect;
    if expect.verdict != outcome.verdict.as_str() {
        let why = outcome.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        found.push(format!("verdict: expected {}, found {}{why}", expect.verdict, outcome.verdict.as_str()));
    }
    if expect.text.is_some() && expect.text != outcome.text {
        let found_text = outcome.text.as_deref().unwrap_or("nothing");
        found.push(format!("text: expected {}, found {found_text}", expect.text.as_deref().unwrap_or_default()));
    }
    if expect.code.is_some() && expect.code != outcome.code {
        found.push(format!("code: expected {:?}, found {:?}", expect.code, outcome.code));
    }
    found
}
