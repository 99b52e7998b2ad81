//! The load generator against a hub, small and short: under load nothing is lost, doubled or out of order.

use anyhow::{Context, Result};
use confab_bench::dialect::Dialect;
use confab_bench::drive::{self, Timing};
use confab_bench::fleet::Target;
use confab_bench::plan::{Plan, Scenario};
use confab_bench::storm;
use confab_bench::usage::Processes;
use confab_tests::world::{Embedded, UNLIMITED};
use std::time::Duration;
use xtask::services::port::Port;

#[tokio::test(flavor = "multi_thread")]
async fn under_load_every_message_arrives_once_and_in_order_in_each_dialect() -> Result<()> {
    let world = Embedded::start(UNLIMITED).await?;
    let pid = world.hub.pid().context("the hub runs")?;
    let address: std::net::SocketAddr = world.hub.listen.parse()?;
    let runs = [
        (Dialect::Native, Scenario::FlatOut),
        (Dialect::Socketio, Scenario::Rooms),
        (Dialect::Native, Scenario::Publish),
    ];
    for (dialect, scenario) in runs {
        let target = Target { dialect, addresses: vec![address], token: String::new() };
        let span = Duration::from_millis(500);
        let report = tokio::task::spawn_blocking(move || {
            let (mut server, mut beside) = (Processes::new(vec![pid]), Processes::new(Vec::new()));
            let timing = Timing { warm_up: span, measured: span };
            drive::run(scenario, Plan::of(scenario, 0.1), target, &mut server, &mut beside, timing, None)
        });
        let report = report.await??;
        assert_eq!((report.lost, report.astray), (0, 0), "{report:?}");
        assert!(report.delivered > 0, "{report:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_cut_off_three_times_and_comes_back_to_all_that_was_missed_without_a_look_into_the_store()
-> Result<()> {
    let metrics = Port::free()?;
    let mut world = Embedded::prepared(UNLIMITED)?;
    world.hub.set("CONFAB_METRICS", &format!("127.0.0.1:{}", metrics.number()));
    world.hub.start().await?;
    let pid = world.hub.pid().context("the hub runs")?;
    let (address, metrics) = (world.hub.listen.parse()?, ([127, 0, 0, 1], metrics.number()).into());
    let target = Target { dialect: Dialect::Native, addresses: vec![address], token: String::new() };
    let report = tokio::task::spawn_blocking(move || {
        let (plan, away) = (Plan::of(Scenario::RecoverStorm, 0.02), Duration::from_millis(300));
        storm::run(plan, target, &mut Processes::new(vec![pid]), away, Some(metrics))
    });
    let report = report.await??;
    assert_eq!((report.lost, report.astray), (0, 0), "{report:?}");
    let storm = report.storm.context("it tells how everybody came back")?;
    let reads = storm.reads.context("the hub tells what it read")?;
    assert!(storm.recovered > 0 && storm.last_ms.len() == 3 && storm.peak_kib > 0, "{storm:?}");
    assert!(reads.store == 0 && reads.window > 0, "{reads:?}");
    Ok(())
}
