//! `confab-bench`: the load generator, the floor, and what plugins cost.

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use confab_bench::dialect::Dialect;
use confab_bench::drive::{self, Timing};
use confab_bench::feed::Feed;
use confab_bench::fleet::Target;
use confab_bench::plan::{Plan, Scenario};
use confab_bench::usage::Processes;
use confab_bench::{floor, opening, plugins};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;

/// Started by `cargo xtask bench`, which decides who runs on which processor.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve as the floor
    Floor {
        /// The port on 127.0.0.1
        port: u16,
    },
    /// Measure a server, and print what was found as one line of JSON
    Drive(Drive),
    /// Measure what plugins cost, and print the figures as one line of JSON
    Plugins {
        /// The folder of components
        components: PathBuf,
        /// How long each measurement takes, in seconds
        #[arg(long, default_value_t = 3.0)]
        seconds: f64,
    },
    /// Serve as the hook that plugins are compared with, and print its address
    Hook,
}

#[derive(Debug, Args)]
struct Drive {
    /// What is measured
    scenario: Scenario,
    /// How the server speaks
    #[arg(long)]
    dialect: Dialect,
    /// Where it listens; connections are spread over several
    #[arg(long = "target", required = true)]
    targets: Vec<SocketAddr>,
    /// The processes that are the server
    #[arg(long = "pid", required = true)]
    pids: Vec<u32>,
    /// What each connection says that it is
    #[arg(long, default_value = "")]
    token: String,
    /// How long is measured, in seconds
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How long is not measured at first, in seconds
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Which share of the scenario's connections is made
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Says something beside it, in the room of this number
    #[arg(long)]
    feed_room: Option<u32>,
    /// What is said there
    #[arg(long, default_value = "hello")]
    feed_text: String,
    /// How often a second
    #[arg(long, default_value_t = 100)]
    feed_rate: u32,
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Floor { port } => {
            // One thread, as it has one processor: nothing need be handed over.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
                floor::serve(listener.with_context(|| format!("could not listen on port {port}"))?).await
            })
        }
        Command::Drive(drive) => measure(&drive),
        Command::Plugins { components, seconds } => {
            let measuring = plugins::measure(&components, Duration::from_secs_f64(seconds));
            let figures = tokio::runtime::Runtime::new()?.block_on(measuring)?;
            print(&serde_json::to_string(&figures)?);
            Ok(())
        }
        Command::Hook => {
            plugins::hook::end_with_our_input();
            plugins::hook::serve(|address| print(&address.to_string()))
        }
    }
}

fn measure(drive: &Drive) -> Result<()> {
    let target = Target { dialect: drive.dialect, addresses: drive.targets.clone(), token: drive.token.clone() };
    let mut server = Processes::new(drive.pids.clone());
    let plan = Plan::of(drive.scenario, drive.scale);
    let measured = Duration::from_secs_f64(drive.seconds);
    let report = match drive.scenario {
        Scenario::Idle => opening::idle(plan, target, &mut server, measured)?,
        Scenario::Connect => opening::connect(plan, target, &mut server, measured)?,
        scenario => {
            let timing = Timing { warm_up: Duration::from_secs_f64(drive.warm_up), measured };
            let (rate, text) = (drive.feed_rate, drive.feed_text.clone());
            let feed = drive.feed_room.map(|room| Feed { room, rate, text });
            drive::run(scenario, plan, target, &mut server, timing, feed)?
        }
    };
    print(&serde_json::to_string(&report)?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
fn print(line: &str) {
    println!("{line}");
}
