//! Everybody is cut off at once, and everybody comes back at once and wants what was missed, while messages go on.

use crate::body::Stamp;
use crate::dialect::{Dialect, FIRST, Heard};
use crate::fleet::{Fleet, Target};
use crate::histogram::Histogram;
use crate::ledger::Ledger;
use crate::plan::{Plan, Scenario};
use crate::report::{Latency, Report, Storm};
use crate::scrape;
use crate::usage::{Meter, Processes, Used};
use anyhow::{Context, Result, bail, ensure};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many times everybody is cut off.
const STORMS: usize = 3;
/// How many connections may be on their way in at once, at first.
const OPEN_AT_ONCE: usize = 64;
/// How long the memory of a server is watched while nothing special happens, and how long it rests between storms.
const REST: Duration = Duration::from_secs(1);
/// How often the memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long everybody may take to be back, and how long the last messages may take to arrive.
const PATIENCE: Duration = Duration::from_secs(60);

struct Crowd<'a> {
    plan: Plan,
    dialect: Dialect,
    server: &'a mut Processes,
    listeners: Fleet,
    senders: Fleet,
    /// When messages began to be sent, on the senders' clock, and how many were.
    begun: u64,
    sent: u64,
    state: State,
    /// The most memory of the server since it was last asked for, and when it was looked at.
    peak_kib: u64,
    looked: Instant,
}

/// What is known of the listeners.
struct State {
    ledger: Ledger,
    /// The number of the message that each must hear next: the place that it holds, as a fresh server counts from 1.
    expected: Vec<u64>,
    /// What each room's places are counted under.
    epochs: Vec<Option<Arc<str>>>,
    /// Who has entered, and who has all that was said before everybody came back.
    joined: Vec<bool>,
    complete: Vec<bool>,
    /// How many have not.
    away: usize,
    /// Of each room, the number of the first message after that moment.
    goal: Vec<u64>,
    /// When that was, on the listeners' clock.
    back: u64,
    took: Histogram,
    /// Deliveries that were made up for.
    recovered: u64,
    answered: u64,
}

/// Runs it: everybody is away for `away` each time.
pub fn run(
    plan: Plan,
    target: Target,
    server: &mut Processes,
    away: Duration,
    metrics: Option<SocketAddr>,
) -> Result<Report> {
    ensure!(target.dialect == Dialect::Native, "only the native dialect keeps a place for those who come back");
    let mut crowd = Crowd::gather(plan, target, server)?;
    crowd.talk(REST)?;
    crowd.peak_kib = 0;
    crowd.talk(REST)?;
    let mut storm = Storm { steady_kib: std::mem::take(&mut crowd.peak_kib), ..Storm::default() };
    let reads = |metrics: Option<SocketAddr>| metrics.map(scrape::reads).transpose();
    let before = reads(metrics)?;
    let (mut used, mut opened) = (Used::default(), 0);
    for _ in 0..STORMS {
        crowd.listeners.cut();
        crowd.talk(away)?;
        let mut meter = Meter::begin(crowd.server)?;
        storm.last_ms.push(crowd.come_back()?.as_secs_f64() * 1000.0);
        used += meter.used(crowd.server)?;
        opened += u64::from(plan.listening());
        crowd.talk(REST)?;
    }
    storm.peak_kib = crowd.peak_kib;
    storm.reads = before.zip(reads(metrics)?).map(|(before, after)| after.since(&before));
    let resident_kib = crowd.server.resident_kib()?;
    let state = crowd.finish()?;
    storm.complete = Latency::of(&state.took);
    storm.recovered = state.recovered;
    Ok(Report {
        opened,
        sent: state.answered,
        delivered: state.ledger.delivered,
        resident_kib,
        storm: Some(storm),
        ..Report::of(Scenario::RecoverStorm, plan.connections()).using(used).with(state.ledger.faults)
    })
}

impl<'a> Crowd<'a> {
    /// Everybody enters.
    fn gather(plan: Plan, target: Target, server: &'a mut Processes) -> Result<Self> {
        let (mut listeners, mut senders) = (Fleet::new(target.clone())?, Fleet::new(target.clone())?);
        let mut state = State::new(plan);
        let rooms = (0..plan.listening()).map(|n| Some(n % plan.rooms));
        listeners.open(rooms, OPEN_AT_ONCE, |link, heard, now| state.hear(plan, link, heard, now))?;
        senders.open((0..plan.senders).map(|_| None), OPEN_AT_ONCE, |_, _, _| Ok(()))?;
        let begun = senders.now();
        let dialect = target.dialect;
        let looked = Instant::now();
        Ok(Self { plan, dialect, server, listeners, senders, begun, sent: 0, state, peak_kib: 0, looked })
    }

    /// Sends and listens for so long.
    fn talk(&mut self, span: Duration) -> Result<()> {
        let end = Instant::now() + span;
        while Instant::now() < end {
            self.turn()?;
        }
        Ok(())
    }

    /// Everybody comes back; returns when everybody has what was missed, and how long that took.
    fn come_back(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        self.state.begin(self.listeners.now());
        for (link, held) in self.state.expected.iter().enumerate() {
            let room = link as u32 % self.plan.rooms;
            let epoch = self.state.epochs[room as usize].clone().context("nobody told us a room's epoch")?;
            self.listeners.open_one(Some(room), Some((epoch, *held)))?;
        }
        while self.state.away > 0 {
            self.turn()?;
            let (away, all) = (self.state.away, self.plan.listening());
            ensure!(begun.elapsed() < PATIENCE, "{away} of {all} were not back after {PATIENCE:?}");
        }
        Ok(begun.elapsed())
    }

    /// Takes what has come, and sends what is due.
    fn turn(&mut self) -> Result<()> {
        let (plan, state) = (self.plan, &mut self.state);
        self.listeners.turn(|link, heard, now| state.hear(plan, link, heard, now))?;
        self.senders.turn(|_, heard, _| {
            state.answered += u64::from(matches!(heard, Heard::Done(_)));
            Ok(())
        })?;
        let due = (self.senders.now() - self.begun) * u64::from(plan.rate) / 1_000_000_000;
        let mut scratch = Vec::new();
        while self.sent < due {
            // Each room has one sender, so that its messages have one order.
            let room = (self.sent % u64::from(plan.rooms)) as u32;
            let number = state.ledger.sent(room);
            let stamp = Stamp { room, number, sent: self.listeners.now() };
            let output = self.senders.output((room % plan.senders) as usize);
            self.dialect.send(output, &mut scratch, FIRST + self.sent as u32, stamp);
            self.sent += 1;
        }
        self.senders.flush()?;
        if self.looked.elapsed() >= LOOK_EVERY {
            self.peak_kib = self.peak_kib.max(self.server.resident_kib()?);
            self.looked = Instant::now();
        }
        Ok(())
    }

    /// Waits for what is on its way, and closes the account.
    fn finish(mut self) -> Result<State> {
        self.plan.rate = 0; // nothing more is due
        let deadline = Instant::now() + PATIENCE;
        while !(self.state.ledger.is_complete() && self.state.answered == self.sent) && Instant::now() < deadline {
            self.turn()?;
        }
        self.talk(Duration::from_millis(50))?; // what came twice may come late
        self.state.ledger.close();
        let unanswered = self.sent - self.state.answered;
        ensure!(unanswered == 0, "{unanswered} messages were never acknowledged");
        Ok(self.state)
    }
}

impl State {
    fn new(plan: Plan) -> Self {
        let listening = plan.listening() as usize;
        Self {
            ledger: Ledger::new(plan.rooms, plan.listeners),
            expected: vec![0; listening],
            epochs: vec![None; plan.rooms as usize],
            joined: vec![false; listening],
            complete: vec![true; listening],
            away: 0,
            goal: vec![0; plan.rooms as usize],
            back: 0,
            took: Histogram::default(),
            recovered: 0,
            answered: 0,
        }
    }

    /// Everybody begins to come back.
    fn begin(&mut self, now: u64) {
        self.goal = self.ledger.next();
        self.back = now;
        self.away = self.complete.len();
        self.joined.fill(false);
        self.complete.fill(false);
    }

    fn hear(&mut self, plan: Plan, link: usize, heard: Heard<'_>, now: u64) -> Result<()> {
        let room = link % plan.rooms as usize;
        match heard {
            Heard::Joined(standing) => {
                let epoch = &mut self.epochs[room];
                if epoch.is_some() && !self.complete[link] && !standing.recovered {
                    bail!("a client that came back was not given what it had missed");
                }
                if epoch.as_deref() != standing.epoch {
                    *epoch = standing.epoch.map(Arc::from);
                }
                self.joined[link] = true;
            }
            Heard::Delivery(stamp) if stamp.room as usize != room => self.ledger.faults.astray += 1,
            Heard::Delivery(stamp) => {
                self.recovered += u64::from(stamp.number < self.goal[room] && !self.complete[link]);
                self.ledger.heard(stamp.room, stamp.number, &mut self.expected[link]);
            }
            _ => return Ok(()),
        }
        if !self.complete[link] && self.joined[link] && self.expected[link] >= self.goal[room] {
            self.complete[link] = true;
            self.away -= 1;
            self.took.add(now - self.back);
        }
        Ok(())
    }
}
