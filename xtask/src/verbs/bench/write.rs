//! Where the tables go: the terminal, a page of the docs, a picture, a file of all runs.

use super::matrix::Scenario;
use super::measure::Run;
use super::{goal, plot, table};
use crate::cli;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What stands around the part of a page that is written by the command.
const BEGIN: &str = "<!-- figures -->\n";
const END: &str = "<!-- end of figures -->\n";

/// Prints the tables, and writes what was asked for; what was found `besides` goes into the file of all runs.
#[expect(clippy::print_stdout, reason = "the tables are what the command is for")]
pub fn all(arguments: &cli::Bench, scenarios: &[&Scenario], runs: &[Run], besides: Vec<Value>) -> Result<()> {
    let (goals, tables) = (goal::page(runs), table::page(scenarios, runs));
    if !runs.is_empty() {
        println!("\n{goals}{tables}");
    }
    if let Some(path) = &arguments.json {
        write(path, &serde_json::to_string_pretty(&runs.iter().map(Run::json).chain(besides).collect::<Vec<_>>())?)?;
    }
    if let Some(path) = &arguments.svg {
        write(path, &plot::picture(scenarios, runs))?;
    }
    if let Some(path) = &arguments.markdown {
        let old = std::fs::read_to_string(path).unwrap_or_default();
        write(path, &fresh(&old, &format!("{goals}{tables}"))?)?;
    }
    Ok(())
}

/// The runs that earlier calls wrote.
pub fn read(files: &[PathBuf]) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
        let written: Vec<Value> =
            serde_json::from_str(&text).with_context(|| format!("{} is not what --json writes", path.display()))?;
        // What was found of plugins names no server.
        for report in written.into_iter().filter(|report| report.get("subject").is_some()) {
            let named =
                Run::written(report).with_context(|| format!("{} has a run of nobody known", path.display()))?;
            runs.push(named);
        }
    }
    Ok(runs)
}

/// The page with the figures in their place; a new page is the figures alone.
fn fresh(old: &str, figures: &str) -> Result<String> {
    if old.trim().is_empty() {
        return Ok(format!("{BEGIN}\n{figures}\n{END}"));
    }
    let found = old.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    let (head, tail) = found.with_context(|| {
        format!("the page has no place for figures: write the lines `{}` and `{}`", BEGIN.trim(), END.trim())
    })?;
    ensure!(!tail.contains(BEGIN), "the page has two places for figures");
    Ok(format!("{head}{BEGIN}\n{figures}\n{END}{tail}"))
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("could not write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::subject::Subject;
    use super::*;
    use serde_json::json;

    #[test]
    fn runs_that_were_written_are_read_again() {
        let run = Run { scenario: "steady", subject: Subject::Floor, report: json!({"scenario": "steady", "sent": 7}) };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.json");
        std::fs::write(&path, json!([run.json()]).to_string()).unwrap();
        let runs = read(&[path]).unwrap();
        assert_eq!((runs[0].scenario, runs[0].subject, runs[0].number("/sent")), ("steady", Subject::Floor, 7.0));
        assert!(Run::written(json!({"scenario": "steady", "subject": "nobody"})).is_none());
    }

    #[test]
    fn only_the_place_of_the_figures_changes() {
        let page = format!("# Head\n\n{BEGIN}old\n{END}\nTail\n");
        let new = fresh(&page, "new\n").unwrap();
        assert_eq!(new, format!("# Head\n\n{BEGIN}\nnew\n\n{END}\nTail\n"));
        assert_eq!(fresh(&new, "new\n").unwrap(), new, "the same again");
        assert_eq!(fresh("", "new\n").unwrap(), format!("{BEGIN}\nnew\n\n{END}"));
        assert!(fresh("# Head without a place\n", "new\n").is_err());
    }
}
