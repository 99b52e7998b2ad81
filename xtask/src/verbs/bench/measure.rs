//! One run: a server of its own, the generator, and what it found.

use super::matrix::{Figure, Scenario};
use super::subject::{self, Programs, Subject};
use crate::{cargo, cli};
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
    report: Value,
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
    let serving = subject.start(programs, &folder)?;
    let mut command = generator(scenario.name, subject.dialect(), programs, arguments);
    command.args(["--token", &serving.token]);
    command.args(serving.targets.iter().flat_map(|target| ["--target", target]));
    command.args(serving.pids.iter().flat_map(|pid| ["--pid".to_owned(), pid.to_string()]));
    let report = report_of(&mut command)?;
    let run = Run { scenario: scenario.name, subject, report };
    let (lost, astray) = (run.number("/lost"), run.number("/astray"));
    ensure!(lost == 0.0 && astray == 0.0, "{lost} deliveries were lost, {astray} came twice or out of order");
    drop(serving);
    std::fs::remove_dir_all(&folder)?;
    Ok(run)
}

/// The generator on its own processor, without its targets.
pub fn generator(scenario: &str, dialect: &str, programs: &Programs, arguments: &cli::Bench) -> Command {
    let mut command = Command::new("timeout");
    command.arg(format!("{:.0}", PATIENCE + 2.0 * arguments.seconds));
    let generator = subject::pinned(&programs.bench, GENERATOR, programs.pins);
    command.arg(generator.get_program()).args(generator.get_args());
    command.args(["drive", scenario, "--dialect", dialect]);
    command.args(["--seconds", &arguments.seconds.to_string(), "--scale", &arguments.scale.to_string()]);
    command
}

/// What the generator, or another part of `confab-bench`, prints.
pub fn report_of(command: &mut Command) -> Result<Value> {
    let text = cargo::output_of(command).map_err(|_| anyhow::anyhow!("it failed, see above"))?;
    serde_json::from_str(text.trim()).context("its report is not JSON")
}

impl Run {
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
        }
    }

    /// Everything, for a file.
    pub fn json(&self) -> Value {
        let mut all = self.report.clone();
        all["subject"] = self.subject.name().into();
        all
    }
}
