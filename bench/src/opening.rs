//! Connections that only come, or only are there.

use crate::fleet::{Fleet, Target};
use crate::plan::{Plan, Scenario};
use crate::report::Report;
use crate::usage::{Meter, Processes, Used};
use anyhow::Result;
use std::time::{Duration, Instant};

/// How many may be on their way in at once.
const OPEN_AT_ONCE: usize = 64;
/// How long a server may take to notice that its clients are gone.
const REST: Duration = Duration::from_millis(500);

/// Opens all connections and holds them.
pub fn idle(plan: Plan, target: Target, server: &mut Processes, hold: Duration) -> Result<Report> {
    let before = server.resident_kib()?;
    let mut fleet = Fleet::new(target)?;
    fleet.open(rooms(plan), OPEN_AT_ONCE, |_, _, _| Ok(()))?;
    listen(&mut fleet, REST)?;
    let mut meter = Meter::begin(server)?;
    listen(&mut fleet, hold)?;
    let connections = plan.connections();
    let after = server.resident_kib()?;
    Ok(Report {
        opened: connections.into(),
        resident_kib: after,
        kib_per_connection: Some(after.saturating_sub(before) as f64 / f64::from(connections)),
        ..Report::of(Scenario::Idle, connections).using(meter.used(server)?)
    })
}

/// Opens connections, cuts them, and again, until so much time went into the opening. The first time is not measured.
pub fn connect(plan: Plan, target: Target, server: &mut Processes, span: Duration) -> Result<Report> {
    let mut fleet = Fleet::new(target)?;
    let (mut used, mut opened) = (Used::default(), 0);
    let mut measured = false;
    while used.seconds < span.as_secs_f64() {
        let mut meter = Meter::begin(server)?;
        fleet.open(rooms(plan), OPEN_AT_ONCE, |_, _, _| Ok(()))?;
        if measured {
            used += meter.used(server)?;
            opened += u64::from(plan.connections());
        }
        measured = true;
        fleet.cut();
        std::thread::sleep(REST);
    }
    let report = Report::of(Scenario::Connect, plan.connections()).using(used);
    Ok(Report { opened, resident_kib: server.resident_kib()?, ..report })
}

fn rooms(plan: Plan) -> impl Iterator<Item = Option<u32>> {
    (0..plan.listening()).map(move |n| Some(n % plan.rooms))
}

/// Answers pings for so long, without keeping a processor busy.
fn listen(fleet: &mut Fleet, span: Duration) -> Result<()> {
    let end = Instant::now() + span;
    while Instant::now() < end {
        fleet.turn(|_, _, _| Ok(()))?;
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
