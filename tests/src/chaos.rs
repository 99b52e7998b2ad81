//! Chaos: a world of real processes, people who talk in it, faults drawn from a seed, and a judgement at the end.
//!
//! What is legal under faults, and what is a broken promise, is said in [`crate::checker::faults`].

mod brokers;
mod client;
mod cluster;
mod embedded;
pub mod fault;
mod gather;
pub mod history;
mod redis;
pub mod report;
pub mod schedule;
pub mod tally;
pub mod words;
mod world;

use crate::checker::Violation;
use crate::checker::faults::{Run, Window, judge};
use crate::checker::lives;
use anyhow::{Context, Result, bail};
use client::{Phase, Shared, Speaker};
use fault::{Fault, Profile};
use gather::Rest;
use history::{History, What};
use schedule::{Planned, Schedule};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tally::Tally;
use tokio::sync::watch;
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
/// In how many rooms each client is.
const ROOMS_EACH: usize = 3;
/// How long it may take, once everything is well, until every send has its answer.
const ANSWERS: Duration = Duration::from_secs(90);
/// How long until nothing moves any more.
const REST: Duration = Duration::from_secs(90);
/// How long nothing must move for that.
const STILL: Duration = Duration::from_secs(2);
/// And if something is pending: an event of a dead hub is swept within a few seconds, and any other one after these.
const SWEPT: Duration = Duration::from_secs(35);
/// How long until every client has heard everything.
const HEARD: Duration = Duration::from_secs(30);
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
    let (phase, people) = gather_people(options, &world, &history);
    let troubled = trouble(&world, &schedule, &history, &progress, options.length).await;
    history.note("healing");
    progress.note("healing");
    world.heal().await.context("the world did not heal")?;
    troubled?;
    let outcome = settle(options, &world, &history, phase, people, &progress, folder).await?;
    progress.done("judged");
    Ok(outcome)
}

fn rooms() -> Vec<String> {
    (0..ROOMS).map(|n| format!("room:{n}")).collect()
}

type People = JoinSet<()>;

fn gather_people(
    options: &Options,
    world: &World,
    history: &Arc<History>,
) -> (watch::Sender<Phase>, (People, Arc<Shared>)) {
    let phase = watch::Sender::new(Phase::Talk);
    let pace = Duration::from_secs_f64(CLIENTS as f64 / f64::from(options.rate.max(1)));
    let shared =
        Arc::new(Shared { fronts: world.fronts(), history: history.clone(), quiet: AtomicUsize::new(0), pace });
    let (mut people, rooms) = (JoinSet::new(), rooms());
    for n in 0..CLIENTS {
        let own = (0..ROOMS_EACH).map(|i| rooms[(n + i) % ROOMS].clone()).collect();
        let seed = options.seed.wrapping_mul(1_000).wrapping_add(n as u64);
        let speaker = Speaker::new(&format!("c{n}"), own, seed, shared.clone(), phase.subscribe());
        people.spawn(speaker.live());
    }
    (phase, (people, shared))
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
    phase: watch::Sender<Phase>,
    (mut people, shared): (People, Arc<Shared>),
    progress: &Progress,
    folder: &Path,
) -> Result<Outcome> {
    progress.note("waiting for the last answers");
    phase.send_replace(Phase::Drain);
    let begun = Instant::now();
    while shared.quiet.load(Ordering::SeqCst) < CLIENTS && begun.elapsed() < ANSWERS {
        if people.try_join_next().is_some() {
            bail!("a client ended before it was told to");
        }
        sleep(Duration::from_millis(50)).await;
    }
    progress.note("waiting until nothing moves");
    let rest = rest(world, history).await?;
    phase.send_replace(Phase::Until(rest.tops.clone()));
    let begun = Instant::now();
    while !people.is_empty() && begun.elapsed() < HEARD {
        let _ = tokio::time::timeout(Duration::from_millis(200), people.join_next()).await;
    }
    phase.send_replace(Phase::End);
    while people.join_next().await.is_some() {}
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

/// Waits until nothing moves. What still does then is found by the checker.
async fn rest(world: &World, history: &History) -> Result<Rest> {
    let (begun, mut before, mut since) = (Instant::now(), Rest::default(), Instant::now());
    while begun.elapsed() < REST {
        match gather::standing(world, &rooms()).await {
            Ok(now) if now == before => {
                // What a lost server forgot to be journaled is swept when its time has come.
                let still = if now.pending.is_empty() { STILL } else { SWEPT };
                if since.elapsed() >= still {
                    return Ok(before);
                }
            }
            Ok(now) => (before, since) = (now, Instant::now()),
            Err(error) => history.note(format!("could not look whether everything rests: {error:#}")),
        }
        sleep(Duration::from_millis(200)).await;
    }
    history.note("something still moved when the time was over");
    Ok(before)
}

async fn evidence(world: &World, history: &History, rest: Rest, folder: &Path) -> Result<(Run, u64)> {
    let lives = lives::of(&history.entries());
    let mut run = Run {
        lives,
        chain: words::CHAIN.map(str::to_owned).into(),
        judged: Some(words::judged),
        timeline: rest
            .tops
            .iter()
            .map(|(room, top)| (room.clone(), Window { top: *top, events: Vec::new() }))
            .collect(),
        ..Run::default()
    };
    for hub in 0..world.hubs() {
        let (seen, refused) = gather::read_back(world, hub, &rooms()).await?;
        refused.into_iter().for_each(|refusal| history.note(refusal));
        run.read_back.insert(format!("hub {hub}"), seen);
    }
    let mut failovers = 0;
    match &world.everybody {
        Everybody::Cluster(cluster) => {
            let timeline = gather::timeline(cluster).await?;
            run.timeline.extend(timeline.rooms);
            run.pending = timeline.pending;
            run.may_forget = true;
            run.journal = gather::journal(cluster).await?;
            let rows = gather::rows(cluster).await?;
            (run.events, run.messages) = (rows.events, rows.messages);
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
