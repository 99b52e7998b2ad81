//! One run: a server of its own, the generator, and what it found.

use super::intake;
use super::matrix::{Figure, SCENARIOS, Scenario};
use super::report::report_of;
use super::serving::{Programs, SERVER, Serving, pinned};
use super::subject::Subject;
use crate::cli;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The generator's processor.
const GENERATOR: &str = "1";
/// How long a run may take besides what it measures, in seconds.
const PATIENCE: f64 = 90.0;

/// What a run found.
pub struct Run {
    pub scenario: &'static str,
    pub subject: Subject,
    pub report: Value,
}

/// Runs a scenario against a fresh server.
pub fn cell(
    scenario: &Scenario,
    subject: Subject,
    programs: &Programs,
    folder: &Path,
    arguments: &cli::Bench,
    round: usize,
) -> Result<Run> {
    let folder = folder.join(format!("{}-{}-{round}", scenario.name, subject.name()));
    std::fs::create_dir(&folder)?;
    let report = match scenario.figure {
        Figure::Rows => intake::run(subject, programs, &folder, arguments.scale)?,
        _ => {
            let serving = subject.start(programs, &folder)?;
            report_of(&mut driver(scenario, subject, programs, arguments, &serving)?)?
        }
    };
    let run = Run { scenario: scenario.name, subject, report };
    let (lost, astray) = (run.number("/lost"), run.number("/astray"));
    ensure!(lost == 0.0 && astray == 0.0, "{lost} deliveries were lost, {astray} came twice or out of order");
    std::fs::remove_dir_all(&folder)?;
    Ok(run)
}

/// Who measures it: the generator on the other processor, or a client that is as bare as what it asks, beside it.
fn driver(
    scenario: &Scenario,
    subject: Subject,
    programs: &Programs,
    arguments: &cli::Bench,
    serving: &Serving,
) -> Result<Command> {
    let Some(dialect) = subject.dialect() else {
        let services = &serving.services;
        let service = services.redis().or(services.kafka()).context("a bare client has a service")?;
        let pid = serving.pids().into_iter().chain(serving.beside()).next().context("a service runs")?;
        let mut command = on(SERVER, programs, arguments);
        command.args(["bare", &service, "--pid", &pid.to_string(), "--seconds", &arguments.seconds.to_string()]);
        return Ok(command);
    };
    let mut command = generator(scenario.name, dialect, programs, arguments);
    command.args(["--token", &serving.token]);
    command.args(serving.targets.iter().flat_map(|target| ["--target", target]));
    command.args(serving.pids().iter().flat_map(|pid| ["--pid".to_owned(), pid.to_string()]));
    command.args(serving.beside().iter().flat_map(|pid| ["--beside".to_owned(), pid.to_string()]));
    command.args(serving.metrics.iter().flat_map(|metrics| ["--metrics", metrics]));
    Ok(command)
}

/// `confab-bench` on a processor, for so long as it may take.
fn on(processor: &str, programs: &Programs, arguments: &cli::Bench) -> Command {
    let bench = pinned(&programs.bench, processor, programs.pins);
    let mut command = Command::new("timeout");
    command.arg(format!("{:.0}", PATIENCE + 4.0 * arguments.seconds));
    command.arg(bench.get_program()).args(bench.get_args());
    command
}

/// The generator on its own processor, without its targets.
pub fn generator(scenario: &str, dialect: &str, programs: &Programs, arguments: &cli::Bench) -> Command {
    let mut command = on(GENERATOR, programs, arguments);
    command.args(["drive", scenario, "--dialect", dialect]);
    command.args(["--seconds", &arguments.seconds.to_string(), "--scale", &arguments.scale.to_string()]);
    command
}

impl Run {
    /// What [`json`](Self::json) wrote; `None` if it names nobody, or nothing, that there is.
    pub fn written(report: Value) -> Option<Self> {
        let name = |member: &str| report[member].as_str();
        let scenario = SCENARIOS.iter().find(|scenario| Some(scenario.name) == name("scenario"))?.name;
        let subject = Subject::ALL.into_iter().find(|subject| Some(subject.name()) == name("subject"))?;
        Some(Self { scenario, subject, report })
    }

    /// A number of the report.
    pub fn number(&self, pointer: &str) -> f64 {
        self.report.pointer(pointer).and_then(Value::as_f64).unwrap_or_default()
    }

    /// What counts.
    pub fn figure(&self, figure: Figure) -> f64 {
        let per_second = |pointer| self.number(pointer) / self.number("/cpu_seconds").max(1e-9);
        match figure {
            Figure::Deliveries => per_second("/delivered") / 1000.0,
            Figure::Messages => per_second("/sent") / 1000.0,
            Figure::Connections => per_second("/opened"),
            Figure::Memory => self.number("/kib_per_connection"),
            Figure::Latency => self.number("/heard/p50"),
            Figure::Receipt => self.number("/acknowledged/p50"),
            Figure::Comeback => self.number("/storm/complete/max") / 1000.0,
            Figure::Rows => self.number("/sent") / self.number("/seconds").max(1e-9) / 1000.0,
        }
    }

    /// Everything, for a file.
    pub fn json(&self) -> Value {
        let mut all = self.report.clone();
        all["subject"] = self.subject.name().into();
        all
    }
}
