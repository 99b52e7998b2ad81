//! `confab plugin run`: one message, and all that came of it.

use super::args::Run;
use super::build::size;
use super::candidate::Candidate;
use super::events::Asked;
use super::trial::{Trial, Tried, wait_for};
use super::{Done, Failure};
use crate::cli::{Exit, Screen, SettingsArgs};
use confab_config::Diagnostic;
use confab_plugin_kit::golden::EventCase;
use serde_json::json;
use std::time::Duration;

pub(super) fn run(settings: &SettingsArgs, run: &Run, screen: &mut Screen<'_>) -> Done {
    let candidate = Candidate::find(&run.plugin)?;
    let table = candidate.table_with(settings, &run.with)?;
    let case = event(run)?;
    let asked = Asked::of(&case, Duration::ZERO).map_err(Diagnostic::error)?;
    let before = asked.event.body.as_str().to_owned();
    let answers = run.with.answers()?;
    let limit = table.memory;
    let tried = wait_for(async {
        let trial = Trial::open(&candidate.name(), table, &answers).await?;
        // The first call pays for what is only done once. One that remembers would count it.
        if !candidate.face.capabilities.iter().any(|capability| capability == "kv") {
            trial.judge(asked.clone()).await;
        }
        let tried = trial.judge(asked).await;
        Ok((tried, trial.memory_bytes()))
    })?;
    let (tried, memory): (Tried, usize) = tried.map_err(|why| refused(&candidate, why))?;
    if run.json {
        let Tried { outcome, micros, log, unlisted } = &tried;
        let found =
            json!({ "outcome": outcome, "us": micros, "memory_bytes": memory, "log": log, "unlisted": unlisted });
        screen.json(&found)?;
    } else {
        tell(&before, &tried, screen)?;
        writeln!(screen.out, "  memory {} of {limit}", size(memory))?;
    }
    Ok(if tried.outcome.verdict == "fault" { Exit::Failed } else { Exit::Done })
}

/// A plugin that does not start, as its author is told.
pub(super) fn refused(candidate: &Candidate, why: String) -> Failure {
    let advice = match &candidate.embedded.schema {
        Some(_) => format!(
            "`confab plugin inspect {}` lists its settings; give them with `-s KEY=VALUE`, or take those of hub.toml with `--like NAME`",
            candidate.file.display()
        ),
        None => "give its settings with `-s KEY=VALUE`, or take those of hub.toml with `--like NAME`".into(),
    };
    Diagnostic::error(format!("plugin `{}` does not start", candidate.name())).note(why).help(advice).into()
}

fn event(run: &Run) -> Result<EventCase, Failure> {
    match (&run.message, &run.event) {
        (Some(text), _) => Ok(EventCase { text: Some(text.clone()), ..EventCase::default() }),
        (None, event) => {
            let text = format!("event = {}", event.as_deref().unwrap_or("{}"));
            #[derive(serde::Deserialize)]
            struct Given {
                event: EventCase,
            }
            let read: Given = toml::from_str(&text).map_err(|error| {
                Diagnostic::error("could not understand `--event`")
                    .in_file("--event", &text, error.span().unwrap_or_default())
                    .label(error.message())
                    .help("write it like `{ kind = \"edit\", text = \"hi\" }`")
            })?;
            Ok(read.event)
        }
    }
}

fn tell(before: &str, tried: &Tried, screen: &mut Screen<'_>) -> std::io::Result<()> {
    let outcome = &tried.outcome;
    let code = outcome.code.filter(|_| outcome.verdict == "reject").map(|code| format!(" {code}")).unwrap_or_default();
    let reason = outcome.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    writeln!(screen.out, "{}{code}{reason}   ({} µs)", outcome.verdict, tried.micros)?;
    if let Some(after) = outcome.body.as_ref().filter(|after| *after != before) {
        writeln!(screen.out, "  - {before}\n  + {after}")?;
    }
    if let Some(details) = &outcome.details {
        writeln!(screen.out, "  details {details}")?;
    }
    for (name, value) in &outcome.annotations {
        writeln!(screen.out, "  annotation {name} = {value}")?;
    }
    for effect in &outcome.effects {
        writeln!(screen.out, "  effect {effect}")?;
    }
    for emit in &outcome.emits {
        writeln!(screen.out, "  says {emit}")?;
    }
    for line in &tried.log {
        writeln!(screen.out, "  log {line}")?;
    }
    for url in &tried.unlisted {
        writeln!(screen.err, "note: it asked {url}: say with `--answers FILE` what is answered there")?;
    }
    Ok(())
}
