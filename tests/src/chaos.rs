//! Chaos: a world of real processes, people who talk in it, faults drawn from a seed, and a judgement at the end.
//!
//! What is legal under faults, and what is a broken promise, is said in [`crate::checker::faults`].

mod brokers;
pub mod client;
mod cluster;
pub mod crowd;
mod embedded;
pub mod fault;
pub mod history;
mod redis;
pub mod report;
pub mod schedule;
pub mod tally;
pub mod words;
mod world;

use crate::checker::Violation;
use crate::checker::faults::{Run, judge};
use crate::checker::lives;
use crate::gather;
use anyhow::{Context, Result};
use client::Habits;
use crowd::Crowd;
use fault::{Fault, Profile};
use gather::Rest;
use history::{History, What};
use schedule::{Planned, Schedule};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tally::Tally;
use tokio::task::JoinSet;
use tokio::time::sleep;
use world::{Everybody, World};
use xtask::progress::Progress;

/// What a run is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Everything that is drawn is drawn from it.
    pub seed: u64,
    /// How long there are faults. Starting, healing and judging come on top.
    pub length: Duration,
    /// Which world.
    pub profile: Profile,
    /// Only these faults; none means all.
    pub faults: Vec<Fault>,
    /// How many messages a second all clients say together, while they can.
    pub rate: u32,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The totals.
    pub tally: Tally,
    /// What was broken.
    pub violations: Vec<Violation>,
}

/// How many clients, and how many rooms.
const CLIENTS: usize = 12;
const ROOMS: usize = 6;
/// How often the progress line is written.
const PROGRESS: Duration = Duration::from_secs(5);

/// Runs once, in a folder that then has everything that is needed to understand it.
pub async fn run(options: &Options, folder: &Path) -> Result<Outcome> {
    let schedule = Schedule::of(options.seed, options.profile, options.length, &options.faults)?;
    let plan: String = schedule.faults.iter().map(|planned| format!("{planned:?}\n")).collect();
    std::fs::write(folder.join("schedule.txt"), format!("{:?}\n{plan}", schedule.shape))?;
    let progress = Progress::start(format!("chaos, seed {}", options.seed));
    progress.note("starting");
    let minutes = options.length.as_secs().div_ceil(60);
    let world = Arc::new(World::start(folder, options.profile, &schedule, minutes).await?);
    let history = Arc::new(History::at(&folder.join("history.jsonl"))?);
    let pace = Duration::from_secs_f64(CLIENTS as f64 / f64::from(options.rate.max(1)));
    let crowd = Crowd::gather(CLIENTS, rooms(), world.fronts(), Habits::fickle(pace), &history, options.seed);
    let troubled = trouble(&world, &schedule, &history, &progress, options.length).await;
    history.note("healing");
    progress.note("healing");
    world.heal().await.context("the world did not heal")?;
    troubled?;
    let outcome = settle(options, &world, &history, crowd, &progress, folder).await?;
    progress.done("judged");
    Ok(outcome)
}

fn rooms() -> Vec<String> {
    (0..ROOMS).map(|n| format!("room:{n}")).collect()
}

/// Lets everything happen that was planned, and waits until it is over.
async fn trouble(
    world: &Arc<World>,
    schedule: &Schedule,
    history: &Arc<History>,
    progress: &Progress,
    length: Duration,
) -> Result<()> {
    let (begun, mut under_way) = (Instant::now(), JoinSet::new());
    let mut coming = schedule.faults.iter().peekable();
    let mut line = tokio::time::interval(PROGRESS);
    while begun.elapsed() < length || !under_way.is_empty() {
        let next = coming.peek().map_or(length, |planned| planned.at).saturating_sub(begun.elapsed());
        tokio::select! {
            () = sleep(next), if begun.elapsed() < length => {
                if let Some(planned) = coming.next_if(|planned| planned.at <= begun.elapsed()) {
                    under_way.spawn(befall(world.clone(), history.clone(), *planned));
                }
            }
            Some(over) = under_way.join_next() => over??,
            _ = line.tick() => {
                let said = history.with(Tally::of);
                let now = begun.elapsed().as_secs();
                progress.note(&format!(
                    "{now} of {} s: {} sent, {} acknowledged, {} heard, {} faults, {} of them now",
                    length.as_secs(), said.sent, said.acknowledged, said.heard,
                    said.kills + said.pauses + said.cuts + said.traps + said.full_disks, under_way.len(),
                ));
            }
        }
    }
    Ok(())
}

async fn befall(world: Arc<World>, history: Arc<History>, planned: Planned) -> Result<()> {
    let note = |begins| {
        let (name, on) = (planned.fault.name().to_owned(), format!("{:?}", planned.part));
        history.record("chaos", What::Fault { name, on, begins });
    };
    note(true);
    let done = world.befall(&planned).await;
    note(false);
    done.with_context(|| format!("{} of {:?} at {:?}", planned.fault.name(), planned.part, planned.at))
}

/// Everything is well again: waits until all is answered, kept and heard, and judges.
async fn settle(
    options: &Options,
    world: &World,
    history: &History,
    crowd: Crowd,
    progress: &Progress,
    folder: &Path,
) -> Result<Outcome> {
    let rest = crowd.settle(async || world.sources().await, |what| progress.note(what)).await?;
    progress.note("judging");
    let (run, failovers) = evidence(world, history, rest, folder).await?;
    let mut tally = Tally::of(&history.entries());
    let epochs: std::collections::BTreeSet<_> = run.events.iter().map(|row| row.seen.cursor.epoch).collect();
    (tally.failovers, tally.generations) = (failovers, epochs.len().saturating_sub(1) as u64);
    let run = Arc::new(run);
    let judged = run.clone();
    let violations = tokio::task::spawn_blocking(move || judge(&judged)).await?;
    if !violations.is_empty() {
        report::write(folder, options, &run, &violations)?;
    }
    Ok(Outcome { tally, violations })
}

async fn evidence(world: &World, history: &History, rest: Rest, folder: &Path) -> Result<(Run, u64)> {
    let mut run = Run {
        lives: lives::of(&history.entries()),
        chain: words::CHAIN.map(str::to_owned).into(),
        judged: Some(words::judged),
        ..Run::default()
    };
    gather::evidence(&mut run, rest, &world.sources().await, &rooms(), history).await?;
    let mut failovers = 0;
    match &world.everybody {
        Everybody::Cluster(cluster) => {
            run.timeline_may_lose = true;
            failovers = cluster.redis.lock().await.failovers() as u64;
            cluster.end().await?;
        }
        Everybody::Embedded(embedded) => {
            let rows = gather::rows_of_file(&embedded.end(folder).await?).await?;
            // The journal of an embedded hub is these rows.
            (run.journal, run.events, run.messages) = (rows.events.clone(), rows.events, rows.messages);
        }
    }
    Ok((run, failovers))
}
