//! `cargo xtask test`: every test, with real services that end with it.

use super::{plugins, web};
use crate::{cargo, cli};
use anyhow::Result;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use xtask::install::{self, Installed};
use xtask::progress::{Progress, say, seconds, shown};
use xtask::services::{Kafka, Postgres, Redis, RedisCluster, kafka, postgres, process::Scratch, redis, redis_cluster};

/// Runs them; the exit code is that of the tests.
pub fn test(arguments: &cli::Test) -> Result<ExitCode> {
    let mut clock = Clock::default();
    let installed = clock.time("install", install::for_tests)?;
    clock.time("class archive", || kafka::archive_classes(&installed.kafka_jars))?;
    let components = clock.time("plugins", plugins::build_for_tests)?;
    let other_way = clock.time("plugins, the other way", plugins::build_the_other_way)?;
    clock.time("web client", web::build)?;
    clock.time("build tests", || build(arguments))?;
    let services = clock.time("start services", || Services::start(&installed))?;
    let mut command = cargo_test(arguments);
    services.tell(&mut command, &installed, &components);
    command.envs(other_way.map(|folder| ("CONFAB_TEST_PLUGINS_DEBIAN", folder)));
    let passed = clock.time("tests", || {
        say(&format!("$ {}", shown(&command)));
        Ok(command.status()?.success())
    })?;
    clock.time("stop services", || services.stop())?;
    say(&clock.summary());
    if !passed {
        say("✗ some tests failed: their names stand above, under `failures:`");
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cargo_test(arguments: &cli::Test) -> Command {
    let mut command = select("test", arguments);
    command.arg("--no-fail-fast").arg("--").args(&arguments.filters).args(&arguments.more);
    command
}

/// Compiles first, so that the services do not idle meanwhile and the summary tells building from testing. The
/// programs are built as well: tests from the outside start them, and `cargo test` alone builds only what it runs.
fn build(arguments: &cli::Test) -> Result<()> {
    let mut command = select("build", arguments);
    if arguments.packages.iter().any(|package| package == "confab-tests") {
        command.args(["--package", "confab-hub", "--package", "confab-consumer"]);
    }
    // One call for all, so that every crate is compiled once, with the features that the tests need.
    cargo::run(command.args(["--lib", "--bins", "--tests", "--examples"]))
}

fn select(verb: &str, arguments: &cli::Test) -> Command {
    let mut command = cargo::cargo();
    command.arg(verb);
    match arguments.packages.as_slice() {
        [] => command.arg("--workspace"),
        packages => command.args(packages.iter().flat_map(|package| ["--package", package])),
    };
    command
}

/// One set of services for all tests; each test keeps to names of its own in them.
struct Services {
    redis: Redis,
    redis_cluster: RedisCluster,
    postgres: Postgres,
    kafka: Kafka,
    // Last, so that the folder goes when nobody writes into it any more.
    _folder: Scratch,
}

impl Services {
    fn start(installed: &Installed) -> Result<Self> {
        let progress = Progress::start("Redis, PostgreSQL and Kafka");
        let scratch = Scratch::new("test")?;
        let folder = scratch.path();
        let redis = Redis::start(&folder.join("redis"), redis::Options::default())?;
        let redis_cluster = RedisCluster::start(&folder.join("redis-cluster"), &redis_cluster::Options::default())?;
        let postgres = Postgres::start(&folder.join("postgres"), postgres::Options::for_tests())?;
        let jars = Some(installed.kafka_jars.clone());
        let kafka = Kafka::start(&folder.join("kafka"), kafka::Options { jars, ..Default::default() })?;
        progress.done(&format!("{}, {}, Kafka at {}", redis.address(), postgres.address(), kafka.address()));
        Ok(Self { redis, redis_cluster, postgres, kafka, _folder: scratch })
    }

    /// Tells the tests where everything is.
    fn tell(&self, command: &mut Command, installed: &Installed, components: &Path) {
        command
            .env("CONFAB_TEST_REDIS", self.redis.address())
            .env("CONFAB_TEST_REDIS_CLUSTER", self.redis_cluster.addresses().join(","))
            .env("CONFAB_TEST_KAFKA", self.kafka.address())
            .env("CONFAB_TEST_POSTGRES", self.postgres.address())
            .env("CONFAB_TEST_KAFKA_LIB", &installed.kafka_jars)
            .env("CONFAB_TEST_NODE", &installed.node)
            .env("CONFAB_TEST_PYTHON", &installed.python)
            .env("CONFAB_TEST_JAVA_LIB", &installed.java)
            .env("CONFAB_TEST_PLUGINS", components);
    }

    fn stop(mut self) -> Result<()> {
        self.kafka.kill()?; // its data is thrown away: nothing to finish
        self.redis.kill()?;
        self.postgres.stop()
    }
}

/// How long each phase took.
#[derive(Default)]
struct Clock(Vec<(&'static str, Duration)>);

impl Clock {
    fn time<T>(&mut self, phase: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let result = work();
        self.0.push((phase, start.elapsed()));
        result
    }

    fn summary(&self) -> String {
        let total = self.0.iter().map(|(_, span)| *span).sum();
        let phases = self.0.iter().map(|(phase, span)| format!("  {phase:<24} {:>12}\n", seconds(*span)));
        format!("\nTime\n{}  {:<24} {:>12}", phases.collect::<String>(), "all", seconds(total))
    }
}
