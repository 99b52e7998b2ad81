//! Messages from senders to listeners, as a plan has it, each one followed to its last listener.

use crate::body::Stamp;
use crate::dialect::{Dialect, FIRST, Heard};
use crate::feed::{Feed, Feeder};
use crate::fleet::{Fleet, Target};
use crate::histogram::Histogram;
use crate::ledger::Ledger;
use crate::plan::{Plan, Scenario};
use crate::report::{Latency, Report};
use crate::usage::{Meter, Processes};
use anyhow::{Context, Result, bail};
use std::time::{Duration, Instant};

/// How many connections may be on their way in at once.
const OPEN_AT_ONCE: usize = 64;
/// How long nothing may arrive while something is still missing: what came so far may be far behind on a busy machine.
const STILL: Duration = Duration::from_secs(10);

/// How long to run.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// What is not measured, at first.
    pub warm_up: Duration,
    /// What is.
    pub measured: Duration,
}

struct Sender {
    link: usize,
    rooms: Vec<u32>,
    turn: usize,
    /// When each of its messages was sent, by its number.
    sent: Vec<u64>,
    unanswered: u32,
    undelivered: u32,
}

struct Drive {
    plan: Plan,
    dialect: Dialect,
    ledger: Ledger,
    senders: Vec<Sender>,
    /// Which sender a link is, for those that are.
    sender_of: Vec<Option<usize>>,
    /// The number of the message that each listener must hear next.
    expected: Vec<u64>,
    scratch: Vec<u8>,
    answered: u64,
    sent: u64,
    acknowledged: Histogram,
    heard: Histogram,
    feeder: Option<Feeder>,
}

/// Runs a plan against a server; what the processes `beside` it take is told apart. With a feed, something else goes on
/// meanwhile.
pub fn run(
    scenario: Scenario,
    plan: Plan,
    target: Target,
    server: &mut Processes,
    beside: &mut Processes,
    timing: Timing,
    feed: Option<Feed>,
) -> Result<Report> {
    let dialect = target.dialect;
    let mut fleet = Fleet::new(target)?;
    let listening = (0..plan.listening()).map(|n| Some(n % plan.rooms));
    let senders = (plan.listening()..plan.connections()).map(|_| None);
    let feeder = feed.map(|feed| Feeder::new(feed, plan.connections() as usize));
    fleet.open(listening.chain(senders).chain(feeder.iter().map(|_| None)), OPEN_AT_ONCE, |_, _, _| Ok(()))?;
    let mut drive = Drive { feeder, ..Drive::new(plan, dialect) };
    drive.until(&mut fleet, timing.warm_up)?;

    (drive.acknowledged, drive.heard) = (Histogram::default(), Histogram::default());
    drive.feeder.iter_mut().for_each(Feeder::start_over);
    let (answered, delivered) = (drive.answered, drive.ledger.delivered);
    let (beside_before, mut meter) = (beside.cpu()?, Meter::begin(server)?);
    drive.until(&mut fleet, timing.measured)?;
    let (mut used, apart) = (meter.used(server)?, (beside.cpu()? - beside_before).as_secs_f64());
    used.others -= apart;
    let (answered, delivered) = (drive.answered - answered, drive.ledger.delivered - delivered);
    drive.finish(&mut fleet)?;

    Ok(Report {
        beside_cpu_seconds: apart,
        sent: answered,
        delivered,
        resident_kib: server.resident_kib()?,
        acknowledged: Latency::of(&drive.acknowledged),
        heard: Latency::of(&drive.heard),
        fed: drive.feeder.as_ref().map(Feeder::report),
        ..Report::of(scenario, plan.connections()).with(drive.ledger.faults).using(used)
    })
}

impl Drive {
    fn new(plan: Plan, dialect: Dialect) -> Self {
        let first = if plan.alone { 0 } else { plan.listening() as usize };
        let sender = |n: u32| Sender {
            link: first + n as usize,
            rooms: (n..plan.rooms).step_by(plan.senders as usize).collect(),
            turn: 0,
            sent: Vec::new(),
            unanswered: 0,
            undelivered: 0,
        };
        let senders: Vec<Sender> = (0..plan.senders).map(sender).collect();
        let mut sender_of = vec![None; plan.connections() as usize];
        senders.iter().enumerate().for_each(|(n, sender)| sender_of[sender.link] = Some(n));
        Self {
            plan,
            dialect,
            ledger: Ledger::new(plan.rooms, plan.listeners),
            senders,
            sender_of,
            expected: vec![0; plan.listening() as usize],
            scratch: Vec::new(),
            answered: 0,
            sent: 0,
            acknowledged: Histogram::default(),
            heard: Histogram::default(),
            feeder: None,
        }
    }

    /// Sends and listens for so long.
    fn until(&mut self, fleet: &mut Fleet, span: Duration) -> Result<()> {
        let begun = fleet.now();
        let end = begun + span.as_nanos() as u64;
        let before = self.sent;
        self.feeder.iter_mut().for_each(|feeder| feeder.begin(begun));
        loop {
            fleet.turn(|link, heard, now| self.hear(link, heard, now))?;
            let now = fleet.now();
            if now >= end {
                return Ok(());
            }
            self.feeder.iter_mut().for_each(|feeder| feeder.feed(fleet));
            match self.plan.rate {
                0 => (0..self.senders.len()).for_each(|n| while self.send(fleet, n) {}),
                rate => {
                    let due = before + (now - begun) * u64::from(rate) / 1_000_000_000;
                    while self.sent < due && self.send(fleet, (self.sent % self.senders.len() as u64) as usize) {}
                }
            }
            fleet.flush()?;
        }
    }

    /// Sends one message, if its sender may.
    fn send(&mut self, fleet: &mut Fleet, sender: usize) -> bool {
        let now = fleet.now();
        let sender = &mut self.senders[sender];
        if sender.unanswered >= self.plan.window || sender.undelivered >= self.plan.lag {
            return false;
        }
        let room = sender.rooms[sender.turn];
        sender.turn = (sender.turn + 1) % sender.rooms.len();
        let stamp = Stamp { room, number: self.ledger.sent(room), sent: now };
        let number = FIRST + sender.sent.len() as u32;
        self.dialect.send(fleet.output(sender.link), &mut self.scratch, number, stamp);
        sender.sent.push(now);
        sender.unanswered += 1;
        sender.undelivered += 1;
        self.sent += 1;
        true
    }

    fn hear(&mut self, link: usize, heard: Heard<'_>, now: u64) -> Result<()> {
        if let Some(feeder) = self.feeder.as_mut().filter(|feeder| feeder.link() == link) {
            return feeder.hear(heard, now);
        }
        match heard {
            Heard::Refused(number, code) => bail!("message {number} was refused with code {code}"),
            Heard::Done(number) => {
                let sender = self.sender_of[link].context("a listener's command was answered, and it sent none")?;
                let sender = &mut self.senders[sender];
                let sent = number.checked_sub(FIRST).and_then(|n| sender.sent.get_mut(n as usize));
                let sent = sent.filter(|sent| **sent != ANSWERED);
                let sent = sent.context("an answer came that nobody waits for")?;
                let took = now - std::mem::replace(sent, ANSWERED);
                sender.unanswered -= 1;
                self.answered += 1;
                self.acknowledged.add(took);
            }
            Heard::Delivery(stamp) => {
                let Some(expected) = self.expected.get_mut(link) else { bail!("a sender heard a message") };
                if link as u32 % self.plan.rooms != stamp.room {
                    self.ledger.faults.astray += 1;
                    return Ok(());
                }
                let whole = self.ledger.heard(stamp.room, stamp.number, expected);
                self.senders[stamp.room as usize % self.plan.senders as usize].undelivered -= whole;
                self.heard.add(now.saturating_sub(stamp.sent));
            }
            _ => {}
        }
        Ok(())
    }

    /// Waits for what is on its way, and closes the account.
    fn finish(&mut self, fleet: &mut Fleet) -> Result<()> {
        let open = |drive: &Self| {
            !drive.ledger.is_complete()
                || drive.senders.iter().any(|one| one.unanswered > 0)
                || drive.feeder.as_ref().is_some_and(Feeder::waits)
        };
        let (mut arrived, mut last) = ((0, 0), Instant::now());
        while open(self) && last.elapsed() < STILL {
            fleet.turn(|link, heard, now| self.hear(link, heard, now))?;
            let now = (self.answered, self.ledger.delivered);
            if now != arrived {
                (arrived, last) = (now, Instant::now());
            }
        }
        // What came twice may come late.
        let late = Instant::now() + Duration::from_millis(50);
        while Instant::now() < late {
            fleet.turn(|link, heard, now| self.hear(link, heard, now))?;
        }
        self.ledger.close();
        let unanswered: u32 = self.senders.iter().map(|sender| sender.unanswered).sum();
        if unanswered > 0 {
            bail!("{unanswered} messages were never acknowledged");
        }
        if self.feeder.as_ref().is_some_and(Feeder::waits) {
            bail!("not all that was fed was answered");
        }
        Ok(())
    }
}

/// Stands in the place of a message's time when it has been answered.
const ANSWERED: u64 = u64::MAX;
