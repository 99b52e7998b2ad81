//! Runs chaos by seed; `cargo xtask chaos` builds everything and starts it.
#![allow(clippy::print_stdout, reason = "its results go to stdout")]

use anyhow::{Result, anyhow, bail};
use clap::Parser;
use confab_tests::chaos::fault::{Fault, Profile};
use confab_tests::chaos::tally::Tally;
use confab_tests::chaos::{Options, run};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tempfile::TempDir;
use xtask::progress::say;

/// Real hubs, consumers and services, people who talk, faults drawn from a seed, and a checker that judges.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask chaos", bin_name = "cargo xtask chaos")]
struct Arguments {
    /// Everything that is drawn is drawn from it: the same seed gives the same schedule of faults
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// How long there are faults, in each run
    #[arg(long, default_value_t = 1.0, value_name = "M")]
    minutes: f64,
    /// How many runs, each with the next seed
    #[arg(long, default_value_t = 1, value_name = "N")]
    runs: u64,
    /// Only this fault; may be given again. `list` shows them all
    #[arg(long = "fault", value_name = "NAME")]
    faults: Vec<String>,
    /// One embedded hub instead of a cluster
    #[arg(long)]
    embedded: bool,
    /// How many messages a second all clients say together
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2_000))]
    rate: u32,
}

/// The longest run: its whole history is judged in memory. Longer ones are more runs.
const MINUTES_MAX: f64 = 30.0;

#[tokio::main]
async fn main() -> ExitCode {
    match all(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// All runs, up to the first that breaks something.
async fn all(arguments: &Arguments) -> Result<()> {
    if arguments.faults.iter().any(|name| name == "list") {
        Fault::ALL.iter().for_each(|fault| println!("{:<16} {}", fault.name(), fault.does()));
        return Ok(());
    }
    if !(arguments.minutes > 0.0 && arguments.minutes <= MINUTES_MAX) {
        bail!("--minutes {} is not between 0 and {MINUTES_MAX}; `--runs` makes more of them", arguments.minutes);
    }
    let faults = arguments.faults.iter().map(|name| Fault::named(name)).collect::<Result<Vec<_>>>()?;
    let mut total = Tally::default();
    for seed in arguments.seed..arguments.seed.saturating_add(arguments.runs.max(1)) {
        let options = Options {
            seed,
            length: Duration::from_secs_f64(arguments.minutes * 60.0),
            profile: if arguments.embedded { Profile::Embedded } else { Profile::Cluster },
            faults: faults.clone(),
            rate: arguments.rate,
        };
        total += one(&options).await?;
    }
    if total.runs > 1 {
        println!("{} runs, nothing broken: {total}", total.runs);
    }
    Ok(())
}

/// One run, in a folder that is removed if nothing was broken, and kept if anything was.
async fn one(options: &Options) -> Result<Tally> {
    let folder = TempDir::with_prefix(format!("confab-chaos-{}-", options.seed))?;
    // Whatever it had started ends with what it owned, also where it panicked.
    let running = AssertUnwindSafe(run(options, folder.path())).catch_unwind();
    let ended = tokio::select! {
        ended = running => ended,
        interrupted = interrupted() => {
            interrupted?;
            bail!("interrupted: seed {} was not judged", options.seed)
        }
    };
    match ended.unwrap_or_else(|_| Err(anyhow!("it panicked"))) {
        Ok(outcome) if outcome.violations.is_empty() => {
            println!("✓ seed {}: {}", options.seed, outcome.tally);
            Ok(outcome.tally)
        }
        Ok(outcome) => {
            println!("✗ seed {}: {}", options.seed, outcome.tally);
            let kept = keep(folder);
            let text = std::fs::read_to_string(Path::new(&kept).join("violations.txt")).unwrap_or_default();
            println!("{text}");
            bail!("seed {} broke {} promises; the evidence is in {kept}", options.seed, outcome.violations.len())
        }
        Err(error) => {
            let kept = keep(folder);
            Err(error.context(format!("seed {} could not be run to its end; the evidence is in {kept}", options.seed)))
        }
    }
}

async fn interrupted() -> Result<()> {
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        ctrl_c = tokio::signal::ctrl_c() => Ok(ctrl_c?),
        _ = term.recv() => Ok(()),
    }
}

/// Keeps logs, settings, history and violations; the services' own data is as large as it is useless.
fn keep(folder: TempDir) -> String {
    let path = folder.keep();
    for entry in std::fs::read_dir(&path).into_iter().flatten().flatten() {
        let data = entry.path().join("data");
        if data.is_dir() {
            let _ = std::fs::remove_dir_all(data);
        }
    }
    path.display().to_string()
}
