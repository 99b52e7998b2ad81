//! The generator against the floor, small and short: what it tells must be true.

use confab_bench::dialect::Dialect;
use confab_bench::drive::{self, Timing};
use confab_bench::fleet::Target;
use confab_bench::plan::{Plan, Scenario};
use confab_bench::report::Report;
use confab_bench::usage::Processes;
use confab_bench::{floor, opening};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A floor that serves as long as the runtime lives, in this very process.
fn floor(runtime: &Runtime) -> SocketAddr {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(floor::serve(listener));
    address
}

fn measure(scenario: Scenario) -> Report {
    let runtime = Runtime::new().unwrap();
    let target = Target { dialect: Dialect::Floor, addresses: vec![floor(&runtime)], token: String::new() };
    let mut server = Processes::new(vec![std::process::id()]);
    let plan = Plan::of(scenario, 0.02);
    let measured = Duration::from_millis(300);
    match scenario {
        Scenario::Connect => opening::connect(plan, target, &mut server, measured).unwrap(),
        Scenario::Idle => opening::idle(plan, target, &mut server, measured).unwrap(),
        _ => drive::run(scenario, plan, target, &mut server, Timing { warm_up: measured, measured }, None).unwrap(),
    }
}

#[test]
fn every_message_arrives_once_and_in_order_in_every_scenario() {
    use Scenario::{FlatOut, Paced, Publish, Rooms, Single, Steady};
    for scenario in [Steady, FlatOut, Rooms, Publish, Single, Paced] {
        let report = measure(scenario);
        assert_eq!((report.lost, report.astray), (0, 0), "{report:?}");
        assert!(report.delivered > 0 && report.cpu_seconds > 0.0 && report.heard.p50 > 0.0, "{report:?}");
    }
}

#[test]
fn connections_are_counted() {
    assert_eq!(measure(Scenario::Idle).opened, 100);
    assert!(measure(Scenario::Connect).opened >= 100);
}
