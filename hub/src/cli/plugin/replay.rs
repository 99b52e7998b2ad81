//! `confab plugin replay`: a plugin judges what was said in a room, and its verdicts are held against earlier ones.
//!
//! The past is what was kept: events as they stood after judging. What was refused then is not there, and what was rewritten
//! is seen as it was rewritten.

use super::args::{Past, Replay};
use super::candidate::Candidate;
use super::events::Asked;
use super::run::refused;
use super::trial::{Trial, Tried, wait_for};
use super::{Done, Failure, load, say};
use crate::backends;
use crate::cli::run::causes;
use crate::cli::{Exit, Screen, SettingsArgs};
use crate::journal::Kafka;
use crate::plugin::{Origin, judged_kind};
use confab_config::{Config, Diagnostic};
use confab_plugin_kit::golden::Outcome;
use confab_plugin_kit::plain;
use confab_protocol::{Record, Room};
use confab_store::Query;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// How long reading the journal may take.
const JOURNAL_TIMEOUT: Duration = Duration::from_secs(300);

/// An event that was judged again.
struct Again {
    record: Record,
    was: String,
    now: Tried,
    changed: bool,
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
    let name = replay.with.like.clone().unwrap_or_else(|| candidate.name());
    let answers = replay.with.answers()?;
    let judged: Result<Vec<Again>, Failure> = wait_for(async {
        let new = Trial::open(&name, table, &answers).await.map_err(|why| refused(&candidate, why))?;
        let old = match old {
            Some((old, table)) => Some(Trial::open(&name, table, &answers).await.map_err(|why| refused(&old, why))?),
            None => None,
        };
        let mut judged = Vec::with_capacity(records.len());
        for record in records {
            judged.push(again(&name, record, &new, old.as_ref()).await);
        }
        Ok(judged)
    })?;
    let judged = judged?;
    if replay.json {
        screen.json(&report(&replay.room, &judged))?;
    } else {
        tell(&judged, screen)?;
    }
    Ok(Exit::Done)
}

/// Lets the candidate, and the older build if there is one, judge an event as if it were then: the clock shows its time, dice
/// fall alike for both, and what either remembered of earlier events is there.
async fn again(name: &str, record: Record, new: &Trial, old: Option<&Trial>) -> Again {
    // What this plugin added then would be in its way now.
    let mut event = record.event.clone();
    event.annotations.retain(|key, _| !key.starts_with(&format!("{name}.")));
    let asked = Asked { kind: judged_kind(event.kind), event, origin: Origin::default() };
    let at = record.event.at;
    let seed = record.cursor.offset;
    let judge = async |trial: &Trial| {
        trial.set_clock(at);
        trial.seed(seed);
        trial.judge(asked.clone()).await
    };
    let now = judge(new).await;
    let (was, changed) = match old {
        Some(old) => {
            let was = shown(&judge(old).await.outcome);
            let changed = was != shown(&now.outcome);
            (was, changed)
        }
        None => {
            let was = at_the_time(&record, name);
            let changed = was != now.outcome.verdict;
            (was, changed)
        }
    };
    Again { record, was, now, changed }
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
        // However a language writes it: the same JSON is the same body.
        "replace" => outcome.body.as_ref().map(|body| format!(" {}", written_anew(body))).unwrap_or_default(),
        _ => String::new(),
    };
    let notes = if outcome.annotations.is_empty() { String::new() } else { format!(" {}", json!(outcome.annotations)) };
    format!("{}{code}{reason}{body}{notes}", outcome.verdict)
}

fn written_anew(body: &str) -> String {
    serde_json::from_str::<Value>(body).map_or_else(|_| body.to_owned(), |body| body.to_string())
}

/// The longest text of the table, in characters.
const TEXT_MAX: usize = 60;

fn tell(judged: &[Again], screen: &mut Screen<'_>) -> std::io::Result<()> {
    let changed: Vec<&Again> = judged.iter().filter(|again| again.changed).collect();
    if !changed.is_empty() {
        writeln!(screen.out, "{:<12} {:<16} {:<28} {:<28} text", "place", "sender", "was", "now")?;
    }
    for Again { record, was, now, .. } in &changed {
        let event = &record.event;
        let text =
            clipped(&plain::escaped(&event.body.text().unwrap_or_else(|| event.body.as_str().to_owned())), TEXT_MAX);
        let place = record.cursor.offset;
        let sender = event.sender.user.as_str();
        let was = clipped(was, 28);
        let now = clipped(&shown(&now.outcome), 28);
        writeln!(screen.out, "{place:<12} {sender:<16} {was:<28} {now:<28} {text}")?;
    }
    let counts: Vec<String> = counts(judged).iter().map(|(verdict, n)| format!("{n} {verdict}")).collect();
    let counts = if counts.is_empty() { "none".into() } else { counts.join(", ") };
    writeln!(screen.out, "{} events judged ({counts}), {} verdicts changed", judged.len(), changed.len())?;
    let unlisted = unlisted(judged);
    if let Some(first) = unlisted.first() {
        let more = if unlisted.len() > 1 { format!(" and {} more", unlisted.len() - 1) } else { String::new() };
        writeln!(screen.err, "note: it asked {first}{more}: say with `--answers FILE` what is answered there")?;
    }
    Ok(())
}

/// A text for a table: one line, and no longer than that.
fn clipped(text: &str, most: usize) -> String {
    let one_line = text.replace(['\n', '\r', '\t'], " ");
    match one_line.chars().count() <= most {
        true => one_line,
        false => one_line.chars().take(most - 1).chain(['…']).collect(),
    }
}

fn counts(judged: &[Again]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    judged.iter().for_each(|again| *counts.entry(again.now.outcome.verdict.as_str()).or_default() += 1);
    counts
}

fn unlisted(judged: &[Again]) -> Vec<&str> {
    let all: BTreeSet<&str> = judged.iter().flat_map(|again| &again.now.unlisted).map(String::as_str).collect();
    all.into_iter().collect()
}

fn report(room: &str, judged: &[Again]) -> Value {
    let row = |again: &Again| {
        json!({
            "epoch": again.record.cursor.epoch,
            "offset": again.record.cursor.offset,
            "id": again.record.event.id,
            "body": again.record.event.body,
            "was": again.was,
            "now": again.now.outcome,
            "us": again.now.micros,
        })
    };
    let changed: Vec<Value> = judged.iter().filter(|again| again.changed).map(row).collect();
    json!({
        "room": room,
        "events": judged.len(),
        "verdicts": counts(judged),
        "changed": changed,
        "unlisted": unlisted(judged),
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
    let store = backends::store(config).await.map_err(|error| causes(&error))?;
    let mut records = Vec::new();
    let mut since = None;
    while records.len() < limit {
        let query = Query { since, reverse: true, limit: limit - records.len(), bytes: usize::MAX, stored_before: 0 };
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
    let keep = std::sync::Arc::clone(&found);
    let wanted = room.clone();
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
