//! What plugins cost, on the hub's own chain inside this process: a call, a chain under load, a hook instead of a plugin,
//! and what many instances take.

pub mod cost;
pub mod figure;
pub mod hook;
pub mod pace;
pub mod setting;

use crate::usage::{Meter, Processes, own_kib};
use anyhow::{Context, Result};
use cost::Cost;
use figure::{Figure, Figures};
use setting::{Surroundings, event, filter};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How often each is measured, in turn, so that what disturbs the machine for a while disturbs all alike.
const ROUNDS: u32 = 3;
/// How many instances are many.
const CROWD: usize = 1000;

/// The filter in every way that is measured: what it is called, its component, its isolation, and the goal in µs.
const WAYS: [(&str, &str, &str, f64); 4] = [
    ("word-filter, `worker`", "word-filter.wasm", "isolation = 'worker'", 2.0),
    ("word-filter, `message`", "word-filter.wasm", "isolation = 'message'", 6.0),
    ("word-filter-js, `worker`", "word-filter-js.wasm", SCRIPT, 80.0),
    ("word-filter-py, `worker`", "word-filter-py.wasm", SCRIPT, 25.0),
];
const SCRIPT: &str = "isolation = 'worker'\nmemory = '64 MiB'";

/// How many times dearer a hook should be than the first two ways, at least.
const HOOK_GOALS: [f64; 2] = [20.0, 8.0];

/// Measures all of it with the components of this folder; each measurement takes about `span`.
pub async fn measure(components: &Path, span: Duration) -> Result<Figures> {
    let with = Surroundings::new(components)?;
    let mut nobody = Processes::new(Vec::new()); // all of it happens in this process
    let mut meter = Meter::begin(&mut nobody)?;
    let mut skipped = Vec::new();
    let mut figures = calls(&with, span, &mut skipped).await?;
    figures.push(pace::five(&with, span).await?);
    figures.push(crowd(&with).await?);
    let used = meter.used(&mut nobody)?;
    Ok(Figures { figures, skipped, others: (used.others / used.seconds).max(0.0) })
}

/// A call in every way, and a hook's beside them.
async fn calls(with: &Surroundings, span: Duration, skipped: &mut Vec<String>) -> Result<Vec<Figure>> {
    let nobody = with.chain("").await?;
    let mut chains = Vec::new();
    for (what, module, table, goal) in WAYS {
        if !with.components.join(module).exists() {
            let name = module.trim_end_matches(".wasm");
            skipped.push(format!(
                "{what}: not built; `confab plugin build plugins/{name} --out plugins/{module}` does it"
            ));
            continue;
        }
        let chain = with.chain(&filter(module, table)).await.with_context(|| format!("could not load {module}"))?;
        chains.push((what, goal, chain, Cost::default()));
    }
    let (event, mut empty, mut hook, mut asked) = (event(), Cost::default(), Hook::start()?, Vec::new());
    for _ in 0..ROUNDS {
        empty.judge(&nobody, &event, span / ROUNDS).await?;
        for (_, _, chain, cost) in &mut chains {
            cost.judge(chain, &event, span / ROUNDS).await?;
        }
        asked.push(hook.asker.measure(&event, span / ROUNDS).await?);
    }
    asked.sort_by(|one, other| one.cpu_many.total_cmp(&other.cpu_many));
    let asked = &asked[asked.len() / 2];
    let mut figures = vec![Figure::new("no plugin", empty.micros(), "µs").besides(empty.spread())];
    figures.extend(
        chains
            .iter()
            .map(|(what, goal, _, cost)| Figure::new(*what, cost.micros(), "µs").at_most(*goal).besides(cost.spread())),
    );
    let cheaper = asked.cpu_alone.min(asked.cpu_many);
    figures.push(Figure::new("the same filter behind a local HTTP hook, CPU", cheaper, "µs").besides(format!(
        "one at a time {:.1} µs of CPU, p50 {:.1}, p99 {:.1} µs until it answers; 16 at once {:.1} µs of CPU",
        asked.cpu_alone, asked.p50, asked.p99, asked.cpu_many
    )));
    for ((what, _, _, cost), goal) in chains.iter().zip(HOOK_GOALS) {
        let ratio = cheaper / cost.cpu_micros();
        let figure = Figure::new(format!("the hook's CPU to that of {what}"), ratio, "×").at_least(goal);
        figures.push(figure.besides(format!("until it answers {:.0} ×", asked.p50 / cost.micros())));
    }
    Ok(figures)
}

/// Memory of many instances of the filter, each configured and asked once.
async fn crowd(with: &Surroundings) -> Result<Figure> {
    // Nothing is asked for: each call that might wait for a server has a place, so that the engine has room for so many.
    let room = format!(
        "isolation = 'worker'\ncapabilities = {{ http = {{ allow = ['http://127.0.0.1:1'], concurrency = {CROWD} }} }}"
    );
    let chain = with.chain(&filter("word-filter.wasm", &room)).await?;
    let event = event();
    drop(chain.bench_instances("filter", 1, &event).await.map_err(|fault| anyhow::anyhow!("{fault}"))?);
    let before = own_kib()?;
    let instances = chain.bench_instances("filter", CROWD, &event).await.map_err(|fault| anyhow::anyhow!("{fault}"))?;
    let mib = own_kib()?.saturating_sub(before) as f64 / 1024.0;
    drop(instances);
    let left = own_kib()?.saturating_sub(before) as f64 / 1024.0;
    let what = format!("{CROWD} instances of word-filter, each asked once");
    Ok(Figure::new(what, mib, "MiB")
        .at_most(40.0)
        .besides(format!("{left:.1} MiB when they are gone, which the next ones begin with")))
}

/// The hook in a process of its own, ended with this value.
struct Hook {
    child: Child,
    asker: hook::Asker,
}

impl Hook {
    fn start() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("hook").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("could not start the hook")?;
        let output = child.stdout.take().context("the hook has an output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse().with_context(|| format!("the hook says {line:?} and no address"))?;
        let asker = hook::Asker::new(address, child.id());
        Ok(Self { child, asker })
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        // It is ours and has nothing to lose; if it is gone already, so much the better.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
