//! `cargo xtask chaos`: faults drawn from a seed, and a checker that judges.

use super::plugins;
use crate::{cargo, cli};
use anyhow::{Context, Result};
use std::os::unix::process::CommandExt;
use std::process::Command;
use xtask::{install, services};

/// Builds what is needed and becomes the runner. Returns only if that fails.
pub fn chaos(arguments: &cli::Chaos) -> Result<()> {
    let lists = arguments.faults.iter().any(|fault| fault == "list");
    let mut build = cargo::cargo();
    // The whole workspace's features, as for the tests: otherwise half of it is compiled again.
    build.args(["build", "--workspace", "--bin", "confab-chaos", "--bin", "confab", "--bin", "confab-consumer"]);
    build.args(arguments.release.then_some("--release"));
    cargo::run(&mut build)?;
    let profile = if arguments.release { "release" } else { "debug" };
    let mut command = Command::new(cargo::target_folder()?.join(profile).join("confab-chaos"));
    if !lists {
        let jars = install::for_services()?;
        services::kafka::archive_classes(&jars)?;
        command.env("CONFAB_TEST_KAFKA_LIB", jars).env("CONFAB_TEST_PLUGINS", plugins::build_for_tests()?);
    }
    command.args(["--seed", &arguments.seed.to_string(), "--minutes", &arguments.minutes.to_string()]);
    command.args(["--runs", &arguments.runs.to_string(), "--rate", &arguments.rate.to_string()]);
    command.args(arguments.faults.iter().flat_map(|fault| ["--fault", fault]));
    command.args(arguments.embedded.then_some("--embedded"));
    Err(command.exec()).context("could not start the runner")
}
