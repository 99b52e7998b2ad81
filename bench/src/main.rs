//! `confab-bench`: the load generator, the floor, and what plugins cost.

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use confab_bench::dialect::Dialect;
use confab_bench::drive::{self, Timing};
use confab_bench::feed::Feed;
use confab_bench::fleet::Target;
use confab_bench::plan::{Plan, Scenario};
use confab_bench::report::Report;
use confab_bench::usage::Processes;
use confab_bench::{bare, floor, intake, opening, plugins, rows, storm};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long is not measured, at first.
const WARM_UP: Duration = Duration::from_secs(1);

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
        /// Keep each message in a new SQLite file here before anyone hears it
        #[arg(long)]
        rows: Option<PathBuf>,
    },
    /// Measure a server, and print what was found as one line of JSON
    Drive(Drive),
    /// Ask a service by itself what a hub asks of it, a thousand times a second, and print what was found
    Bare(Bare),
    /// Fill a topic of Kafka with events
    Fill(Fill),
    /// Watch a consumer fill a table of PostgreSQL, and print what was found
    Watch(Watch),
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
struct Bare {
    /// `redis://…`, or a Kafka broker's `host:port`
    service: String,
    /// Its process
    #[arg(long)]
    pid: u32,
    /// How long is measured, in seconds
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
}

#[derive(Debug, Args)]
struct Fill {
    /// A Kafka broker's `host:port`
    broker: String,
    /// The topic, which must exist
    topic: String,
    /// How many events
    #[arg(long)]
    records: u64,
    /// Make the table of a sink in this database
    #[arg(long, value_name = "POSTGRES")]
    sink: Option<String>,
    /// Flat records, into a topic that is made for them
    #[arg(long)]
    flat: bool,
}

#[derive(Debug, Args)]
struct Watch {
    /// The database
    postgres: String,
    /// The table
    table: String,
    /// How many rows it will have
    #[arg(long)]
    records: u64,
    /// The consumer's process
    #[arg(long)]
    pid: u32,
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
    /// A process of the server that is counted apart
    #[arg(long)]
    beside: Option<u32>,
    /// What each connection says that it is
    #[arg(long, default_value = "")]
    token: String,
    /// How long is measured, in seconds
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Which share of the scenario's connections is made
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Where a hub's metrics are (`metrics` of its hub.toml): its reads are counted in a recover-storm
    #[arg(long)]
    metrics: Option<SocketAddr>,
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
    // One thread, as there is one processor: nothing need be handed over.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match Arguments::parse().command {
        Command::Floor { port, rows } => runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
            let listener = listener.with_context(|| format!("could not listen on port {port}"))?;
            let keeper = match &rows {
                Some(path) => Some(rows::keep(path).await?),
                None => None,
            };
            floor::serve(listener, keeper).await
        }),
        Command::Drive(drive) => measure(&drive),
        Command::Bare(Bare { service, pid, seconds }) => {
            let (mut server, measured) = (Processes::new(vec![pid]), Duration::from_secs_f64(seconds));
            report(&runtime.block_on(async {
                match service.starts_with("redis") {
                    true => bare::redis(&service, &mut server, WARM_UP, measured).await,
                    false => bare::kafka(&service, &mut server, WARM_UP, measured).await,
                }
            })?)
        }
        Command::Fill(fill) => {
            runtime.block_on(intake::fill(&fill.broker, &fill.topic, fill.records, fill.sink.as_deref(), fill.flat))
        }
        Command::Watch(watch) => {
            let mut server = Processes::new(vec![watch.pid]);
            report(&runtime.block_on(intake::watch(&watch.postgres, &watch.table, watch.records, &mut server))?)
        }
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
        Scenario::RecoverStorm => storm::run(plan, target, &mut server, measured, drive.metrics)?,
        scenario => {
            let timing = Timing { warm_up: WARM_UP, measured };
            let mut beside = Processes::new(drive.beside.into_iter().collect());
            let (rate, text) = (drive.feed_rate, drive.feed_text.clone());
            let feed = drive.feed_room.map(|room| Feed { room, rate, text });
            drive::run(scenario, plan, target, &mut server, &mut beside, timing, feed)?
        }
    };
    self::report(&report)
}

fn report(report: &Report) -> Result<()> {
    print(&serde_json::to_string(report)?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the report is what this program is for")]
fn print(line: &str) {
    println!("{line}");
}
