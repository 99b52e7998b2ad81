//! What can be typed after `cargo xtask`.

use clap::{Args, Parser, Subcommand};

/// Every verb a contributor needs. What is missing on this machine is installed or named on the way.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
#[command(
    after_help = "Start here:\n  cargo xtask run     a hub to talk to, in one command\n  cargo xtask test    everything that CI tests, with real services\n  cargo xtask up      two hubs, a consumer, Redis, Kafka and PostgreSQL in the background"
)]
pub struct Arguments {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build and start one embedded hub (no services needed) in the foreground; Ctrl-C drains it
    ///
    /// Builds the plugins and the hub, says where its page is and how to send a first message, then becomes
    /// `confab run --config hub.toml`. The data lies where hub.toml says.
    Run(Run),
    /// Run every test, with a private Redis, Kafka and PostgreSQL that end with it
    ///
    /// Installs what is missing, builds the plugins and the tests, starts the services, and tells the tests where they
    /// are (CONFAB_TEST_REDIS, CONFAB_TEST_KAFKA, CONFAB_TEST_POSTGRES …). The exit status is that of the tests.
    Test(Test),
    /// Check format, lints, docs, the arrows between crates and the dependencies, as CI does
    Check,
    /// Start two hubs, a consumer, Redis, Kafka and PostgreSQL on loopback, in the background
    ///
    /// State, logs and pids lie in `.services/`. What already runs is left alone, so typing it again starts only what is
    /// missing.
    Up(Up),
    /// End what `up` started, hubs first; the data stays
    Down(Down),
    /// Show what of `up` is running and where
    Status,
    /// Build the plugins into `plugins/*.wasm`
    Plugins,
    /// Build the web client into `web/dist`, from where the hub's build takes it
    ///
    /// Does nothing where it was built from the same sources. Needs Node.js 20.19 or later.
    Web,
    /// Take the pictures of the web client that the docs show, with a hub that starts for them
    Screenshots,
    /// Write clients/js/src/generated.ts from the hub's table of verbs
    Types,
    /// Measure the hub beside its peers and the floor, by the CPU that each takes
    ///
    /// Each server runs alone on one processor, the load generator on another. Every delivery is checked: one that is lost,
    /// doubled or out of order fails the run. All of it takes about three quarters of an hour; on a machine that has something
    /// else to do, the ratios say less.
    Bench(Bench),
    /// Feed the decoders of bytes from outside what a fuzzer finds
    ///
    /// Builds `fuzz/` with libFuzzer, apart from everything else (the first time takes minutes), and runs each target
    /// for a while. An input that a decoder does not bear is left in `fuzz/artifacts/`. `cargo xtask test` runs the inputs
    /// that are kept in `fuzz/corpus/`.
    Fuzz(Fuzz),
    /// Kill, stop, cut and fill what there is, at random from a seed, while people talk; then judge what they saw
    ///
    /// Starts two or three hubs, two consumers, Redis with a replica and a sentinel, three brokers of Kafka and PostgreSQL, or,
    /// with --embedded, one hub on a small disk. A run with nothing broken prints its totals; a failed one says what was
    /// broken and keeps its evidence. docs/contributing/chaos.md says how to read it.
    Chaos(Chaos),
}

#[derive(Debug, Args)]
pub struct Run {
    /// Build with optimisations: slower to build, faster to run
    #[arg(long)]
    pub release: bool,
}

#[derive(Debug, Args)]
pub struct Test {
    /// Only tests whose name contains one of these
    #[arg(value_name = "FILTER")]
    pub filters: Vec<String>,
    /// Only the tests of these crates; may be given more than once
    #[arg(short, long = "package", value_name = "CRATE")]
    pub packages: Vec<String>,
    /// Given to the test programs as they are, such as `-- --nocapture`
    #[arg(last = true, value_name = "ARGUMENT")]
    pub more: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Up {
    /// Build with optimisations: slower to build, faster to run
    #[arg(long)]
    pub release: bool,
}

#[derive(Debug, Args)]
pub struct Down {
    /// Remove the data as well, so that the next `up` begins empty
    #[arg(long)]
    pub wipe: bool,
}

#[derive(Debug, Args)]
pub struct Fuzz {
    /// Only these decoders, by the names of the files in `fuzz/fuzz_targets`; all of them, if none is named
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// How long each is fed
    #[arg(long, default_value_t = 60, value_name = "N")]
    pub seconds: u64,
    /// Only build
    #[arg(long)]
    pub build_only: bool,
}

#[derive(Debug, Args)]
pub struct Bench {
    /// Only these scenarios: connect, idle, steady, flat-out, rooms, publish, paced, single, recover-storm,
    /// consumer; plugins (what they cost), hostile (what those that misbehave do to others)
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// Only these peers beside Confab: floor, rows, centrifuge, centrifuge-hook, centrifuge-redis, socketio, socketio-redis, socketio-kafka,
    /// redis-script, kafka-alone, kafka-connect; may be given again
    #[arg(long = "peer", value_name = "PEER")]
    pub peers: Vec<String>,
    /// Nobody but these, of the peers and of ours: confab, confab-judged, confab-unjournaled, confab-socketio,
    /// confab-cluster, confab-cluster-judged, confab-consumer, confab-one-table; may be given again
    #[arg(long, value_name = "SERVER", conflicts_with = "peers")]
    pub only: Vec<String>,
    /// How long each run measures
    #[arg(long, default_value_t = 3.0, value_name = "N")]
    pub seconds: f64,
    /// How often each run is repeated; the table has the median
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub rounds: usize,
    /// The share of each scenario's connections that is made
    #[arg(long, default_value_t = 1.0, value_name = "SHARE")]
    pub scale: f64,
    /// Writes every run there, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<std::path::PathBuf>,
    /// Measures nothing; shows the runs that an earlier --json wrote; may be given again
    #[arg(long, value_name = "FILE")]
    pub from: Vec<std::path::PathBuf>,
    /// Writes the tables into that page, between its lines `<!-- figures -->` and `<!-- end of figures -->`
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<std::path::PathBuf>,
    /// Writes the bars there, as a picture
    #[arg(long, value_name = "FILE")]
    pub svg: Option<std::path::PathBuf>,
}

#[derive(Debug, Args)]
pub struct Chaos {
    /// Everything that is drawn is drawn from it: the same seed gives the same schedule of faults
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// How long there are faults, in each run
    #[arg(long, default_value_t = 1.0, value_name = "M")]
    pub minutes: f64,
    /// How many runs, each with the next seed
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub runs: u64,
    /// Only this fault; may be given again. `list` shows them all
    #[arg(long = "fault", value_name = "NAME")]
    pub faults: Vec<String>,
    /// One embedded hub instead of a cluster
    #[arg(long)]
    pub embedded: bool,
    /// How many messages a second all clients say together
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub rate: u32,
    /// Build with optimisations: slower to build, and other timings
    #[arg(long)]
    pub release: bool,
}
