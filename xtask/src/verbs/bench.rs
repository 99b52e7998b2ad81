//! `cargo xtask bench`: the hub beside its peers and the floor, by the CPU that each takes; and what plugins cost, and do.

mod goal;
mod hostile;
mod intake;
mod matrix;
mod measure;
mod own;
mod plot;
mod plugins;
mod report;
mod serving;
mod subject;
mod table;
mod write;

use crate::{cargo, cli};
use anyhow::{Context, Result, bail};
use matrix::{SCENARIOS, Scenario};
use measure::Run;
use serving::Programs;
use std::path::Path;
use subject::Subject;
use xtask::progress::{Progress, say};
use xtask::services::{kafka, process::Scratch};
use xtask::{install, workspace};

/// What is measured besides the scenarios, without peers.
const PLUGINS: &str = "plugins";
const HOSTILE: &str = "hostile";

/// Measures, prints the tables, and fails if a delivery was lost, doubled or out of order.
pub fn bench(arguments: &cli::Bench) -> Result<()> {
    let Chosen { scenarios, plugins, hostile } = chosen(&arguments.scenarios)?;
    if !arguments.from.is_empty() {
        return write::all(arguments, &scenarios, &write::read(&arguments.from)?, Vec::new());
    }
    let subjects = wanted(&arguments.peers, &arguments.only)?;
    let cells: Vec<(&Scenario, Subject)> = scenarios
        .iter()
        .flat_map(|scenario| scenario.subjects.iter().map(move |subject| (*scenario, *subject)))
        .filter(|(_, subject)| subjects.contains(subject))
        .collect();
    let programs = prepare(&cells, plugins)?;
    let scratch = Scratch::new("bench")?;
    let (runs, failures) = measure_all(&cells, &programs, scratch.path(), arguments);
    let mut besides = Vec::new();
    if plugins {
        let all = plugins::measure(&programs, scratch.path(), arguments)?;
        plugins::print(&all);
        besides.push(all);
    }
    if hostile {
        let all = hostile::measure(&programs, scratch.path(), arguments)?;
        hostile::print(&all);
        besides.push(all);
    }
    write::all(arguments, &scenarios, &runs, besides)?;
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

/// Confab, and the peers that were named; all if none was. With `only`, nobody but those that were named.
fn wanted(names: &[String], only: &[String]) -> Result<Vec<Subject>> {
    let find = |name: &String| {
        let known = || Subject::ALL.iter().map(|subject| subject.name()).collect::<Vec<_>>().join(", ");
        let found = Subject::ALL.into_iter().find(|subject| subject.name() == name);
        found.with_context(|| format!("there is no `{name}`; there are {}", known()))
    };
    if !only.is_empty() {
        return only.iter().map(find).collect();
    }
    if names.is_empty() {
        return Ok(Subject::ALL.to_vec());
    }
    let ours = Subject::ALL.into_iter().filter(|subject| subject.is_confab()).map(Ok);
    ours.chain(names.iter().map(find)).collect()
}

/// Builds and installs what the cells need.
fn prepare(cells: &[(&Scenario, Subject)], plugins: bool) -> Result<Programs> {
    install::for_embedded()?;
    let needs = |wanted: &[Subject]| cells.iter().any(|(_, subject)| wanted.contains(subject));
    if plugins || needs(&[Subject::ConfabJudged, Subject::ConfabUnjournaled, Subject::ConfabClusterJudged]) {
        super::plugins::build()?;
    }
    let mut build = cargo::cargo();
    // The whole workspace's features, as for the tests: otherwise half of it is compiled again.
    let programs = ["--bin", "confab", "--bin", "confab-bench", "--bin", "confab-consumer"];
    build.args(["build", "--release", "--workspace"]).args(programs);
    if needs(&[Subject::ConfabUnjournaled]) {
        build.args(["--example", "unjournaled"]);
    }
    if needs(&[Subject::ConfabOneTable]) {
        build.args(["--example", "one_table"]);
    }
    cargo::run(&mut build)?;
    let folder = cargo::target_folder()?.join("release");
    let services = cells.iter().any(|(_, subject)| subject.needs().redis || subject.needs().kafka);
    let kafka = services.then(install::for_services).transpose()?;
    if let Some(jars) = &kafka {
        kafka::archive_classes(jars)?;
    }
    let socketio = needs(&[Subject::Socketio, Subject::SocketioRedis, Subject::SocketioKafka]);
    let socketio = socketio.then(install::peers::socketio).transpose()?;
    let centrifuge = needs(&[Subject::Centrifuge, Subject::CentrifugeHook, Subject::CentrifugeRedis]);
    let centrifuge = centrifuge.then(install::peers::centrifuge).transpose()?;
    let connect = needs(&[Subject::KafkaConnect]).then(install::connect::jars).transpose()?;
    let pins = workspace::on_path("taskset").is_some() && std::thread::available_parallelism()?.get() > 1;
    if !pins {
        say(
            "· no `taskset`, or one processor only: servers and generator are in each other's way, and figures say little",
        );
    }
    Ok(Programs {
        confab: folder.join("confab"),
        unjournaled: folder.join("examples/unjournaled"),
        consumer: folder.join("confab-consumer"),
        one_table: folder.join("examples/one_table"),
        bench: folder.join("confab-bench"),
        plugin: workspace::root().join("plugins/word-filter.wasm"),
        socketio: socketio.unwrap_or_default(),
        centrifuge: centrifuge.unwrap_or_default(),
        kafka: kafka.unwrap_or_default(),
        connect: connect.unwrap_or_default(),
        pins,
    })
}
