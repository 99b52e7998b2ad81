//! `confab plugin test`: golden cases, in the sandbox of a hub.

use super::args::Test;
use super::candidate::Candidate;
use super::events::{AT, Asked};
use super::trial::{Trial, wait_for};
use super::{Done, Failure};
use crate::cli::{Exit, Screen};
use confab_config::PluginConfig;
use confab_plugin_kit::golden::{Case, Difference, Golden, compare};
use confab_plugin_kit::project::GOLDEN;
use serde_json::{Value, json};
use std::time::Duration;

/// What came of a case.
struct Ran {
    /// What was other than expected, and at which step, from 1.
    differences: Vec<(usize, Difference)>,
    /// What the plugin wrote to the log.
    log: Vec<String>,
    /// The longest call, in microseconds.
    micros: u64,
}

pub(super) fn run(test: &Test, screen: &mut Screen<'_>) -> Done {
    let candidate = Candidate::find(&test.plugin)?;
    let file = test.cases.clone().unwrap_or_else(|| candidate.beside(GOLDEN));
    let golden = Golden::read(&file)?;
    let table = candidate.table()?;
    let wanted = |case: &&Case| test.only.as_ref().is_none_or(|only| case.name.contains(only.as_str()));
    let cases: Vec<&Case> = golden.cases.iter().filter(wanted).collect();
    let mut results = Vec::new();
    let limit = table.timeout;
    for case in cases {
        let ran = wait_for(one(&candidate, &table, case))?;
        let passed = ran.differences.is_empty();
        if !test.json {
            tell(&golden, case, &ran, limit, screen)?;
        }
        results.push((case, passed, ran));
    }
    let failed = results.iter().filter(|(_, passed, _)| !passed).count();
    let passed = results.len() - failed;
    if test.json {
        let cases: Vec<Value> = results.iter().map(|(case, passed, ran)| as_json(case, *passed, ran)).collect();
        screen.json(&json!({ "file": golden.file, "passed": passed, "failed": failed, "cases": cases }))?;
    } else {
        writeln!(screen.out, "{passed} passed, {failed} failed")?;
    }
    match (failed, passed) {
        (0, 0) => Err(Failure::from(confab_plugin_kit::Error::new("no case was run").help("see what `--only` says"))),
        (0, _) => Ok(Exit::Done),
        _ => Ok(Exit::Failed),
    }
}

/// Runs a case: the plugin is configured anew, then asked step by step. Where the settings should be refused, it may be the
/// schema that does; where they should not, the schema must not.
async fn one(candidate: &Candidate, table: &PluginConfig, case: &Case) -> Ran {
    let name = &candidate.name();
    let schema = candidate.refused(&case.settings).map(|refused| refused.to_string());
    let table = PluginConfig { settings: case.settings.clone(), ..table.clone() };
    let trial = Trial::open(name, table, &case.http).await;
    let mut ran = Ran { differences: Vec::new(), log: Vec::new(), micros: 0 };
    let mut differ = |what, expected: String, found: String| {
        ran.differences.push((0, Difference { what, expected, found }));
    };
    let trial = match schema {
        Some(why) if case.settings_error.as_ref().is_none_or(|expected| why.contains(expected)) => Err(why),
        _ => trial,
    };
    let trial = match (trial, &case.settings_error) {
        (Err(why), Some(expected)) if why.contains(expected.as_str()) => return ran,
        (Err(why), expected) => {
            differ("settings", expected.as_ref().map_or("accepted".into(), |e| format!("refused: {e}")), why);
            return ran;
        }
        (Ok(_), Some(expected)) => {
            differ("settings", format!("refused: {expected}"), "accepted".into());
            return ran;
        }
        (Ok(trial), None) => trial,
    };
    let mut passed = Duration::ZERO;
    for (at, step) in case.steps.iter().enumerate() {
        passed += step.pass;
        trial.set_clock(AT.saturating_add(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)));
        match Asked::of(&step.event, passed) {
            Ok(asked) => {
                let tried = trial.judge(asked).await;
                ran.differences.extend(compare(&step.expect, &tried.outcome).into_iter().map(|found| (at + 1, found)));
                ran.differences.extend(tried.unlisted.into_iter().map(|url| (at + 1, unlisted(url))));
                ran.log.extend(tried.log);
                ran.micros = ran.micros.max(tried.micros);
            }
            Err(why) => {
                let found = Difference { what: "event", expected: "an event that can happen".into(), found: why };
                ran.differences.push((at + 1, found));
            }
        }
    }
    ran
}

/// A request that the case does not know of.
fn unlisted(url: String) -> Difference {
    Difference { what: "http", expected: "requests to addresses that the case's `http` lists".into(), found: url }
}

fn tell(golden: &Golden, case: &Case, ran: &Ran, limit: Duration, screen: &mut Screen<'_>) -> std::io::Result<()> {
    if ran.differences.is_empty() {
        writeln!(screen.out, "ok    {} ({} µs)", case.name, ran.micros)?;
    } else {
        writeln!(screen.out, "FAIL  {}", case.name)?;
        writeln!(screen.out, "      {}:{}", golden.file.display(), case.line)?;
    }
    for (step, Difference { what, expected, found }) in &ran.differences {
        let step = if case.steps.len() > 1 { format!("step {step}, ") } else { String::new() };
        writeln!(screen.out, "      {step}{what}\n        expected  {expected}\n        found     {found}")?;
    }
    if !ran.differences.is_empty() {
        for line in &ran.log {
            writeln!(screen.out, "      log {line}")?;
        }
    }
    if Duration::from_micros(ran.micros) > limit {
        writeln!(screen.err, "warning: a call took {} µs; in a hub it may take {limit:?}", ran.micros)?;
    }
    Ok(())
}

fn as_json(case: &Case, passed: bool, ran: &Ran) -> Value {
    let differences: Vec<Value> = ran
        .differences
        .iter()
        .map(|(step, found)| json!({ "step": step, "what": found.what, "expected": found.expected, "found": found.found }))
        .collect();
    json!({
        "name": case.name,
        "line": case.line,
        "ok": passed,
        "differences": differences,
        "log": ran.log,
        "us": ran.micros,
    })
}
