//! The load generator against a hub, small and short: under load nothing is lost, doubled or out of order.

use anyhow::{Context, Result};
use confab_bench::dialect::Dialect;
use confab_bench::drive::{self, Timing};
use confab_bench::fleet::Target;
use confab_bench::plan::{Plan, Scenario};
use confab_bench::usage::Processes;
use confab_tests::world::Embedded;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn under_load_every_message_arrives_once_and_in_order_in_each_dialect() -> Result<()> {
    let world = Embedded::start("").await?;
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
            let mut server = Processes::new(vec![pid]);
            drive::run(
                scenario,
                Plan::of(scenario, 0.1),
                target,
                &mut server,
                Timing { warm_up: span, measured: span },
                None,
            )
        });
        let report = report.await??;
        assert_eq!((report.lost, report.astray), (0, 0), "{report:?}");
        assert!(report.delivered > 0, "{report:?}");
    }
    Ok(())
}
