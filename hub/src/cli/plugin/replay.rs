//! `confab plugin replay`: a plugin judges what was said in a room, and its verdicts are held against earlier ones.
//!
//! The past is what was kept: events as they stood after judging. What was refused then is not there, and what was rewritten
//! is seen as it was rewritten.

use super::args::{Past, Replay};
use super::candidate::Candidate;
use super::events::Asked;
use super::run::refused;
use super::trial::{Heard, Trial, Tried};
use super::{Done, Failure, load, say};
use crate::cli::run::causes;
use crate::cli::{Exit, Screen, SettingsArgs};
use crate::hub::open_store;
use crate::journal::Kafka;
use crate::plugin::{Origin, judged_kind};
use confab_config::{Config, Diagnostic};
use confab_plugin_kit::golden::Outcome;
use confab_protocol::{Record, Room};
use confab_store::Query;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How long reading the journal may take.
const JOURNAL_TIMEOUT: Duration = Duration::from_secs(300);

/// A verdict that would have been another.
struct Changed {
    record: Record,
    was: String,
    now: Tried,
}

pub(super) fn run(settings: &SettingsArgs, replay: &Replay, screen: &mut Screen<'_>) -> Done {
    let room = Room::new(&replay.room).map_err(|error| Diagnostic::error(format!("`--room`: {error}")))?;
    let candidate = Candidate::find(&replay.plugin)?;
    let table = candidate.table_with(settings, &replay.with)?;
    let old = match &replay.against {
        Some(file) => {
            let old = Candidate::read(file)?;
            let table = old.table_with(settings, &replay.with)?;
            Some((old, table))
        }
        None => None,
    };
    let records = records(settings, replay, &room, screen)?;
    say(&format!("{} events of {room}", records.len()));
    let heard = Heard::default();
    let (mut changed, mut counts) = (Vec::new(), std::collections::BTreeMap::<String, usize>::new());
    let total = records.len();
    let name = replay.with.like.clone().unwrap_or_else(|| candidate.name());
    let done: Result<(), Failure> = heard.during(async {
        let new = Trial::open(&name, table, &heard).await.map_err(|why| refused(&candidate, why))?;
        let old = match old {
            Some((old, table)) => Some(Trial::open(&name, table, &heard).await.map_err(|why| refused(&old, why))?),
            None => None,
        };
        for record in records {
            // What this plugin added then would be in its way now.
            let mut event = record.event.clone();
            event.annotations.retain(|key, _| !key.starts_with(&format!("{name}.")));
            let asked = Asked { kind: judged_kind(event.kind), event, origin: Origin::default() };
            let now = new.judge(asked.clone()).await;
            let was = match &old {
                Some(old) => shown(&old.judge(asked).await.outcome),
                None => at_the_time(&record, &name),
            };
            *counts.entry(now.outcome.verdict.clone()).or_default() += 1;
            let same = if old.is_some() { was == shown(&now.outcome) } else { was == now.outcome.verdict };
            if !same {
                changed.push(Changed { record, was, now });
            }
        }
        Ok(())
    })?;
    done?;
    if replay.json {
        let rows: Vec<Value> = changed.iter().map(as_json).collect();
        screen.json(&json!({ "room": replay.room, "events": total, "verdicts": counts, "changed": rows }))?;
        return Ok(Exit::Done);
    }
    for changed in &changed {
        tell(changed, screen)?;
    }
    let counts: Vec<String> = counts.iter().map(|(verdict, n)| format!("{n} {verdict}")).collect();
    let counts = if counts.is_empty() { "none".into() } else { counts.join(", ") };
    writeln!(screen.out, "{total} events judged ({counts}), {} verdicts changed", changed.len())?;
    Ok(Exit::Done)
}

/// What this plugin said at the time; what it never judged counts as accepted.
fn at_the_time(record: &Record, name: &str) -> String {
    let step = record.trail.steps.iter().find(|step| step.plugin == name);
    step.map_or_else(|| "accept".into(), |step| step.verdict.as_str().into())
}

/// A verdict with all that listeners and the sender would notice of it, in a line.
fn shown(outcome: &Outcome) -> String {
    let code = outcome.code.map(|code| format!(" {code}")).unwrap_or_default();
    let reason = outcome.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let body = match outcome.verdict.as_str() {
        "replace" => outcome.body.as_ref().map(|body| format!(" {body}")).unwrap_or_default(),
        _ => String::new(),
    };
    let notes = if outcome.annotations.is_empty() { String::new() } else { format!(" {}", json!(outcome.annotations)) };
    format!("{}{code}{reason}{body}{notes}", outcome.verdict)
}

fn tell(changed: &Changed, screen: &mut Screen<'_>) -> std::io::Result<()> {
    let Changed { record, was, now } = changed;
    let event = &record.event;
    let text = event.body.text().unwrap_or_else(|| event.body.as_str().to_owned());
    writeln!(screen.out, "{}  {}: {text}", record.cursor, event.sender.user)?;
    writeln!(screen.out, "    was  {was}\n    now  {}", shown(&now.outcome))
}

fn as_json(changed: &Changed) -> Value {
    json!({
        "epoch": changed.record.cursor.epoch,
        "offset": changed.record.cursor.offset,
        "id": changed.record.event.id,
        "body": changed.record.event.body,
        "was": changed.was,
        "now": changed.now.outcome,
        "us": changed.now.micros,
    })
}

/// The past, from old to new, at most as many events as were asked for.
fn records(
    settings: &SettingsArgs,
    replay: &Replay,
    room: &Room,
    screen: &mut Screen<'_>,
) -> Result<Vec<Record>, Failure> {
    let mut records = match &replay.from {
        Past::File(file) => read_file(file)?.into_iter().filter(|record| record.event.room == *room).collect(),
        service => {
            let loaded = load(settings, screen)?;
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
            let read = match (service, &loaded.config.journal.kafka) {
                (Past::Journal, Some(_)) => runtime.block_on(from_journal(&loaded.config, room)),
                // The embedded hub's journal is its store.
                _ => runtime.block_on(from_store(&loaded.config, room, replay.limit)),
            };
            read.map_err(|error| {
                let found = Diagnostic::error("could not read what was said").note(error);
                Failure::Found(found.into(), Exit::Unreachable)
            })?
        }
    };
    records.sort_by_key(|record| record.cursor);
    records.dedup_by_key(|record| record.event.id);
    records.drain(..records.len().saturating_sub(replay.limit));
    Ok(records)
}

async fn from_store(config: &Config, room: &Room, limit: usize) -> Result<Vec<Record>, String> {
    let store = open_store(config).await.map_err(|error| causes(&error))?;
    let (mut records, mut since) = (Vec::new(), None);
    while records.len() < limit {
        let query = Query { since, reverse: true, limit: limit - records.len() };
        let page = store.page(room, query).await.map_err(|error| causes(&error))?;
        records.extend(page.records);
        match page.next {
            Some(next) if since != Some(next) => since = Some(next),
            _ => break,
        }
    }
    store.close().await;
    Ok(records)
}

async fn from_journal(config: &Config, room: &Room) -> Result<Vec<Record>, String> {
    let kafka = config.journal.kafka.clone().ok_or("no Kafka is configured")?;
    let kafka = Kafka::connect(kafka).map_err(|error| causes(&error))?;
    let found = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let (keep, wanted) = (std::sync::Arc::clone(&found), room.clone());
    let each = move |record: Record| {
        if record.event.room == wanted {
            keep.lock().push(record);
        }
    };
    kafka.tail(0, JOURNAL_TIMEOUT, each).await.map_err(|error| causes(&error))?;
    Ok(std::mem::take(&mut *found.lock()))
}

/// Events of a file: one JSON object a line, a JSON array, or an object whose `events` is one.
fn read_file(file: &Path) -> Result<Vec<Record>, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| confab_plugin_kit::Error::file("read", file, &error))?;
    let whole = serde_json::from_str::<Value>(&text).ok();
    let list = whole.as_ref().and_then(|whole| whole["events"].as_array().or(whole.as_array()));
    if let Some(list) = list {
        return list.iter().enumerate().map(|(at, event)| record(file, at + 1, &event.to_string())).collect();
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(at, line)| record(file, at + 1, line)).collect()
}

fn record(file: &Path, at: usize, text: &str) -> Result<Record, Failure> {
    // What the hub serves to clients has no version; what the journal keeps has.
    let mut value: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    if let Some(event) = value.as_object_mut() {
        event.entry("v").or_insert(1.into());
    }
    Record::from_json(value.to_string().as_bytes()).map_err(|error| {
        Diagnostic::error(format!("event {at} of {} cannot be read", file.display()))
            .note(error.to_string())
            .help("take what `confab history ROOM --json` prints")
            .into()
    })
}
