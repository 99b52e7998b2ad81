//! What a failed run leaves: the violations, each with the lines of the history that speak of it, and what was kept where.

use super::Options;
use crate::checker::Violation;
use crate::checker::faults::{Kept, Run};
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

/// How many violations are told with their evidence.
const TOLD_MAX: usize = 20;
/// How many lines of the history each is told with.
const LINES_MAX: usize = 16;

/// Writes `violations.txt` and the journal's and the store's contents beside the history.
pub fn write(folder: &Path, options: &Options, run: &Run, violations: &[Violation]) -> Result<()> {
    let mut text = format!("{} violations\n{options:?}\n\n", violations.len());
    let history = BufReader::new(File::open(folder.join("history.jsonl"))?);
    let lines = history.lines().collect::<std::io::Result<Vec<String>>>()?;
    for violation in violations {
        let _ = writeln!(text, "✗ {violation}");
    }
    for violation in violations.iter().take(TOLD_MAX) {
        let _ = writeln!(text, "\n✗ {violation}");
        let needles = needles(violation, run);
        let told = lines.iter().filter(|line| needles.iter().any(|needle| line.contains(needle.as_str())));
        for line in told.take(LINES_MAX) {
            let _ = writeln!(text, "    {line}");
        }
        for (place, kept) in [("journal", &run.journal), ("events", &run.events)] {
            for one in kept.iter().filter(|one| concerns(one, &needles)) {
                let _ = writeln!(text, "    {place}: {one:?}");
            }
        }
    }
    std::fs::write(folder.join("violations.txt"), &text).context("could not write violations.txt")?;
    dump(&folder.join("journal.txt"), &run.journal)?;
    dump(&folder.join("events.txt"), &run.events)
}

fn dump(path: &Path, kept: &[Kept]) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for one in kept {
        writeln!(file, "{one:?}")?;
    }
    Ok(file.flush()?)
}

/// What lines of the history that speak of it contain.
fn needles(violation: &Violation, run: &Run) -> Vec<String> {
    let by_id = |id: &String| {
        let key = run.journal.iter().chain(&run.events).find(|one| one.seen.id == *id).map(|one| one.seen.key.clone());
        let key = key.or_else(|| key_of(run, id));
        std::iter::once(id.clone()).chain(key.map(|key| format!("\"{key}\""))).collect()
    };
    let at = |room: &str, cursor: &confab_protocol::Cursor| {
        let heard = run.lives.stretches.iter().filter(|stretch| stretch.room == room);
        let found = heard.flat_map(|stretch| &stretch.heard).find(|(event, _)| event.cursor == *cursor);
        let stored = run.events.iter().find(|one| one.seen.room == room && one.seen.cursor == *cursor);
        let id = found.map(|(event, _)| event.id.clone()).or_else(|| stored.map(|one| one.seen.id.clone()));
        id.map_or_else(|| vec![serde_json::to_string(cursor).unwrap_or_default()], |id| by_id(&id))
    };
    match violation {
        Violation::Lost { id, .. }
        | Violation::Doubled { id, .. }
        | Violation::Unjudged { id, .. }
        | Violation::Undeleted { id, .. }
        | Violation::Unfolded { id, .. }
        | Violation::FalseReceipt { id, .. } => by_id(id),
        Violation::SaidTwice { key, .. }
        | Violation::ReceiptsDiffer { key, .. }
        | Violation::RefusedStands { key, .. }
        | Violation::Unanswered { key } => vec![format!("\"{key}\"")],
        Violation::Reordered { room, cursor, .. }
        | Violation::Gap { room, cursor, .. }
        | Violation::SenderReordered { room, cursor, .. }
        | Violation::Disagree { room, cursor, .. }
        | Violation::Dishonest { room, cursor, .. }
        | Violation::Behind { room, cursor, .. } => at(room, cursor),
        Violation::Pending { .. } => Vec::new(),
    }
}

/// The key under which an event was sent, as its receipt says.
fn key_of(run: &Run, id: &str) -> Option<String> {
    let found = run.lives.sent.iter().find(|(_, sent)| sent.receipts().any(|(told, _)| told == id));
    found.map(|(key, _)| key.clone())
}

fn concerns(one: &Kept, needles: &[String]) -> bool {
    let key = format!("\"{}\"", one.seen.key);
    needles.iter().any(|needle| *needle == one.seen.id || *needle == key)
}
