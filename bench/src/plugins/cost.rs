//! What one thing takes that is done again and again.

use crate::histogram::Histogram;
use crate::usage::Processes;
use anyhow::{Context, Result, ensure};
use confab_hub::plugin::{Chain, Judged, judged_kind};
use confab_protocol::Event;
use std::time::{Duration, Instant};

/// How long a batch takes, about: long enough for the clock, short enough that some batches are not disturbed.
const BATCH: Duration = Duration::from_millis(10);
/// How many calls come before those that are measured.
const WARM_UP: usize = 200;

/// What it takes.
#[derive(Debug, Default)]
pub struct Cost {
    /// Microseconds of each batch's mean.
    batches: Vec<f64>,
    /// Nanoseconds of single calls.
    single: Histogram,
    cpu: Duration,
    calls: u64,
}

impl Cost {
    /// Judges the event for about so long. Half of the time whole batches are timed, half of it single calls.
    pub async fn judge(&mut self, chain: &Chain, event: &Event, span: Duration) -> Result<()> {
        for _ in 0..WARM_UP {
            approved(judge(chain, event).await)?;
        }
        let mut own = Processes::new(vec![std::process::id()]);
        let before = own.cpu()?;
        let each = once(chain, event).await?;
        let size = (BATCH.as_nanos() / each.as_nanos().max(1)).max(1) as u64;
        let begun = Instant::now();
        while begun.elapsed() < span / 2 {
            let batch = Instant::now();
            for _ in 0..size {
                approved(judge(chain, event).await)?;
            }
            self.batches.push(batch.elapsed().as_nanos() as f64 / 1000.0 / size as f64);
            self.calls += size;
        }
        while begun.elapsed() < span {
            self.single.add(once(chain, event).await?.as_nanos() as u64);
            self.calls += 1;
        }
        self.cpu += own.cpu()? - before;
        Ok(())
    }

    /// Microseconds: the median of the batches' means.
    pub fn micros(&self) -> f64 {
        let mut batches = self.batches.clone();
        batches.sort_unstable_by(f64::total_cmp);
        batches.get(batches.len() / 2).copied().unwrap_or_default()
    }

    /// Microseconds of CPU for each call, of all threads of this process.
    pub fn cpu_micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.calls.max(1) as f64
    }

    /// Of single calls.
    pub fn spread(&self) -> String {
        let at = |share| self.single.quantile(share) as f64 / 1000.0;
        format!("p50 {:.1}, p99 {:.1} µs", at(0.5), at(0.99))
    }
}

async fn once(chain: &Chain, event: &Event) -> Result<Duration> {
    let begun = Instant::now();
    let judged = judge(chain, event).await;
    let took = begun.elapsed();
    approved(judged)?;
    Ok(took)
}

/// As the hub does it: the event itself stays with the sender's walk.
pub async fn judge(chain: &Chain, event: &Event) -> Judged {
    chain.judge(event.clone(), judged_kind(event.kind)).await
}

/// What is measured must be what was meant.
pub fn approved(judged: Judged) -> Result<()> {
    let Judged::Approved(approved) = judged else { return Err(anyhow::anyhow!("not approved: {judged:?}")) };
    let asked = approved.trail.steps.iter().find(|step| step.verdict.as_str() == "fault");
    ensure!(asked.is_none(), "a plugin failed: {asked:?}");
    Ok(())
}

/// Of a list of durations, the one that this share does not exceed.
pub fn quantile(sorted: &[Duration], share: f64) -> Result<Duration> {
    let place = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(place).copied().context("nothing was measured")
}
