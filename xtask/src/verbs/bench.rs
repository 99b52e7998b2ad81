//! `cargo xtask bench`: the hub beside its peers and the floor, by the CPU that each takes; and what plugins cost, and do.

mod hostile;
mod matrix;
mod measure;
mod own;
mod plugins;
mod subject;
mod table;

use crate::{cargo, cli};
use anyhow::{Context, Result, bail};
use matrix::{SCENARIOS, Scenario};
use measure::Run;
use serde_json::Value;
use std::path::{Path, PathBuf};
use subject::{Programs, Subject};
use xtask::progress::{Progress, say};
use xtask::services::process::Scratch;
use xtask::{install, workspace};

/// What is measured besides the scenarios, without peers.
const PLUGINS: &str = "plugins";
const HOSTILE: &str = "hostile";

/// Measures, prints the tables, and fails if a delivery was lost, doubled or out of order.
pub fn bench(arguments: &cli::Bench) -> Result<()> {
    let Chosen { scenarios, plugins, hostile } = chosen(&arguments.scenarios)?;
    let subjects = wanted(&arguments.peers)?;
    let cells: Vec<(&Scenario, Subject)> = scenarios
        .iter()
        .flat_map(|scenario| scenario.subjects.iter().map(move |subject| (*scenario, *subject)))
        .filter(|(_, subject)| subjects.contains(subject))
        .collect();
    let programs = prepare(&cells, plugins)?;
    let scratch = Scratch::new("bench")?;
    let (runs, failures) = measure_all(&cells, &programs, scratch.path(), arguments);
    let mut json: Vec<Value> = runs.iter().map(Run::json).collect();
    if !cells.is_empty() {
        table::print(&scenarios, &runs);
    }
    if plugins {
        let all = plugins::measure(&programs, scratch.path(), arguments)?;
        plugins::print(&all);
        json.push(all);
    }
    if hostile {
        let all = hostile::measure(&programs, scratch.path(), arguments)?;
        hostile::print(&all);
        json.push(all);
    }
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&json)?;
        std::fs::write(path, text).with_context(|| format!("could not write {}", path.display()))?;
    }
    if !failures.is_empty() {
        let count = cells.len() * arguments.rounds;
        bail!("{} of {count} runs failed: {}", failures.len(), failures.join("; "));
    }
    Ok(())
}

/// Runs every cell so often as there are rounds; gives what was found, and what failed.
fn measure_all(
    cells: &[(&Scenario, Subject)],
    programs: &Programs,
    folder: &Path,
    arguments: &cli::Bench,
) -> (Vec<Run>, Vec<String>) {
    let (mut runs, mut failures) = (Vec::new(), Vec::new());
    let count = cells.len() * arguments.rounds;
    if count == 0 {
        return (runs, failures);
    }
    let progress = Progress::start(format!("{count} runs of {} s", arguments.seconds));
    // Round by round, so that what disturbs the machine for a while disturbs all alike.
    for round in 0..arguments.rounds {
        for (scenario, subject) in cells {
            let n = runs.len() + failures.len() + 1;
            progress.note(&format!("{n} of {count}: {} of {}", scenario.name, subject.name()));
            match measure::cell(scenario, *subject, programs, folder, arguments, round) {
                Ok(run) => runs.push(run),
                Err(error) => {
                    let failure = format!("{} of {}: {error:#}", scenario.name, subject.name());
                    say(&format!("✗ {failure}"));
                    failures.push(failure);
                }
            }
        }
    }
    progress.done("measured");
    (runs, failures)
}

/// What is to be measured.
struct Chosen {
    scenarios: Vec<&'static Scenario>,
    plugins: bool,
    hostile: bool,
}

fn chosen(names: &[String]) -> Result<Chosen> {
    if names.is_empty() {
        return Ok(Chosen { scenarios: SCENARIOS.iter().collect(), plugins: true, hostile: true });
    }
    let mut chosen = Chosen { scenarios: Vec::new(), plugins: false, hostile: false };
    for name in names {
        match name.as_str() {
            PLUGINS => chosen.plugins = true,
            HOSTILE => chosen.hostile = true,
            _ => {
                let known = || SCENARIOS.map(|scenario| scenario.name).join(", ");
                let found = SCENARIOS.iter().find(|scenario| scenario.name == name);
                let found = found.with_context(|| {
                    format!("there is no scenario `{name}`; there are {}, {PLUGINS}, {HOSTILE}", known())
                });
                chosen.scenarios.push(found?);
            }
        }
    }
    Ok(chosen)
}

/// Confab, and the peers that were named; all if none was.
fn wanted(names: &[String]) -> Result<Vec<Subject>> {
    if names.is_empty() {
        return Ok(Subject::ALL.to_vec());
    }
    let find = |name: &String| {
        let known = || Subject::ALL.iter().map(|subject| subject.name()).collect::<Vec<_>>().join(", ");
        let found = Subject::ALL.into_iter().find(|subject| subject.name() == name);
        found.with_context(|| format!("there is no `{name}`; there are {}", known()))
    };
    let mut subjects: Vec<Subject> = Subject::ALL.into_iter().filter(|subject| subject.is_confab()).collect();
    for name in names {
        subjects.push(find(name)?);
    }
    Ok(subjects)
}

/// Builds and installs what the cells need.
fn prepare(cells: &[(&Scenario, Subject)], plugins: bool) -> Result<Programs> {
    install::for_embedded()?;
    let needs = |wanted: &[Subject]| cells.iter().any(|(_, subject)| wanted.contains(subject));
    if plugins || needs(&[Subject::ConfabJudged]) {
        super::plugins::build()?;
    }
    let mut build = cargo::cargo();
    // The whole workspace's features, as for the tests: otherwise half of it is compiled again.
    cargo::run(build.args(["build", "--release", "--workspace", "--bin", "confab", "--bin", "confab-bench"]))?;
    let folder = cargo::target_folder()?.join("release");
    let socketio = needs(&[Subject::Socketio, Subject::SocketioRedis]).then(install::peers::socketio).transpose()?;
    let centrifuge =
        needs(&[Subject::Centrifuge, Subject::CentrifugeRedis]).then(install::peers::centrifuge).transpose()?;
    let pins = workspace::on_path("taskset").is_some() && std::thread::available_parallelism()?.get() > 1;
    if !pins {
        say(
            "· no `taskset`, or one processor only: servers and generator are in each other's way, and figures say little",
        );
    }
    Ok(Programs {
        confab: folder.join("confab"),
        bench: folder.join("confab-bench"),
        plugin: workspace::root().join("plugins/word-filter.wasm"),
        socketio: socketio.unwrap_or_else(PathBuf::new),
        centrifuge: centrifuge.unwrap_or_else(PathBuf::new),
        pins,
    })
}
