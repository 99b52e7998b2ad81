//! `confab plugin bench`: what a plugin costs, measured as a hub calls it.

use super::args::Bench;
use super::candidate::Candidate;
use super::events::Asked;
use super::run::refused;
use super::trial::{Trial, wait_for};
use super::{Done, say};
use crate::cli::{Exit, Screen, SettingsArgs};
use confab_config::{Diagnostic, Isolation, PluginConfig};
use confab_plugin_kit::golden::{EventCase, Recorded};
use serde::Serialize;
use serde_json::json;
use std::time::{Duration, Instant};

/// How many calls come before the measured ones.
const WARM_UP: u32 = 20;

/// What one isolation costs.
#[derive(Serialize)]
struct Cost {
    isolation: Isolation,
    /// How long it took to load: compiled, configured, and asked once.
    load_ms: f64,
    calls: usize,
    /// Microseconds a call.
    p50_us: f64,
    p99_us: f64,
    /// The most memory that an instance had, in bytes.
    memory_bytes: usize,
    /// How many calls ended in a fault.
    faults: usize,
}

pub(super) fn run(settings: &SettingsArgs, bench: &Bench, screen: &mut Screen<'_>) -> Done {
    let candidate = Candidate::find(&bench.plugin)?;
    let table = candidate.table_with(settings, &bench.with)?;
    let case = EventCase { text: Some(bench.message.clone()), ..EventCase::default() };
    let asked = Asked::of(&case, Duration::ZERO).map_err(Diagnostic::error)?;
    let answers = bench.with.answers()?;
    let mut costs = Vec::new();
    for isolation in [Isolation::Worker, Isolation::Message] {
        say(&format!("{} calls with isolation {}", bench.calls, name(isolation)));
        let table = PluginConfig { isolation, ..table.clone() };
        let cost = wait_for(measure(&candidate.name(), table, &asked, bench.calls, &answers))?;
        costs.push(cost.map_err(|why| refused(&candidate, why))?);
    }
    let optimised = !cfg!(debug_assertions);
    if bench.json {
        screen.json(&json!({ "bytes": candidate.bytes, "optimised": optimised, "costs": costs }))?;
        return Ok(Exit::Done);
    }
    if !optimised {
        writeln!(
            screen.err,
            "warning: this confab was built without optimisation: the times are not those of a release"
        )?;
    }
    writeln!(screen.out, "isolation       load ms       p50 µs       p99 µs   memory KiB    faults")?;
    for cost in &costs {
        writeln!(
            screen.out,
            "{:<12} {:>10.1} {:>12.1} {:>12.1} {:>12} {:>9}",
            name(cost.isolation),
            cost.load_ms,
            cost.p50_us,
            cost.p99_us,
            cost.memory_bytes.div_ceil(1 << 10),
            cost.faults
        )?;
    }
    Ok(Exit::Done)
}

fn name(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::Worker => "worker",
        Isolation::Message => "message",
    }
}

async fn measure(
    name: &str,
    table: PluginConfig,
    asked: &Asked,
    calls: u32,
    answers: &[Recorded],
) -> Result<Cost, String> {
    let begin = Instant::now();
    let isolation = table.isolation;
    let trial = Trial::open(name, table, answers).await?;
    trial.judge(asked.clone()).await;
    let load_ms = begin.elapsed().as_secs_f64() * 1e3;
    let mut times = Vec::new();
    let mut faults = 0;
    for at in 0..WARM_UP + calls {
        let asked = asked.clone();
        let (took, tried) = trial.time(asked).await;
        if at >= WARM_UP {
            times.push(took);
            faults += usize::from(tried.outcome.verdict == "fault");
        }
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6;
    let memory_bytes = trial.memory_bytes();
    Ok(Cost { isolation, load_ms, calls: times.len(), p50_us: at(50), p99_us: at(99), memory_bytes, faults })
}
