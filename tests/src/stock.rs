//! Runs the scripts of `clients/`, which use stock SDKs only, and fails with what they said when they fail.

use crate::world::service;
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Runs a script of `clients/node` against hubs, given as `host:port`.
pub async fn node(script: &str, hubs: &[&str]) -> Result<String> {
    let folder = PathBuf::from(service("CONFAB_TEST_NODE")?);
    run(Command::new("node"), &[folder.join(script)], hubs, &[]).await
}

/// As [`node`], with flags of the script's own.
pub async fn node_with(script: &str, hubs: &[&str], flags: &[&str]) -> Result<String> {
    let folder = PathBuf::from(service("CONFAB_TEST_NODE")?);
    run(Command::new("node"), &[folder.join(script)], hubs, flags).await
}

/// Runs a script of `clients/node` that drives a real browser against the page of a hub.
pub async fn browser(script: &str, hub: &str) -> Result<String> {
    let chromium = tokio::task::spawn_blocking(xtask::install::browser).await??;
    let folder = PathBuf::from(service("CONFAB_TEST_NODE")?);
    let mut command = Command::new("node");
    command.env("CHROMIUM", chromium);
    run(command, &[folder.join(script)], &[hub], &[]).await
}

/// Runs a script of `clients/python` against hubs, given as `host:port`.
pub async fn python(script: &str, hubs: &[&str]) -> Result<String> {
    let python = service("CONFAB_TEST_PYTHON")?;
    let folder = PathBuf::from(service("CONFAB_TEST_NODE")?).with_file_name("python");
    run(Command::new(python), &[folder.join(script)], hubs, &[]).await
}

/// As [`node`], in Protobuf.
pub async fn node_protobuf(script: &str, hubs: &[&str]) -> Result<String> {
    let folder = PathBuf::from(service("CONFAB_TEST_NODE")?);
    run(Command::new("node"), &[folder.join(script)], hubs, &["--protobuf"]).await
}

/// As [`python`], in Protobuf.
pub async fn python_protobuf(script: &str, hubs: &[&str]) -> Result<String> {
    let python = service("CONFAB_TEST_PYTHON")?;
    let folder = PathBuf::from(service("CONFAB_TEST_NODE")?).with_file_name("python");
    run(Command::new(python), &[folder.join(script)], hubs, &["--protobuf"]).await
}

/// Builds and runs the program of `clients/go`, which speaks Protobuf, against hubs, given as `host:port`.
pub async fn go(hubs: &[&str]) -> Result<String> {
    let folder = PathBuf::from(service("CONFAB_TEST_NODE")?).with_file_name("go");
    let built = tempfile::tempdir().context("could not make a folder for the Go client")?;
    let program = built.path().join("client");
    let mut build = Command::new("timeout");
    build.args([GO_BUILD_SECONDS_MAX, "go", "-C"]).arg(&folder).args(["build", "-mod=readonly", "-o"]).arg(&program);
    let output = tokio::task::spawn_blocking(move || build.stdin(Stdio::null()).output()).await?;
    let output = output.context("could not start `go`")?;
    ensure!(output.status.success(), "could not build clients/go: {}", String::from_utf8_lossy(&output.stderr));
    run(Command::new(program), &[], hubs, &[]).await
}

/// How long the Go client may take to build; the first time, its modules are fetched.
const GO_BUILD_SECONDS_MAX: &str = "300";

/// How long a script may take; `timeout` ends one that hangs.
const SECONDS_MAX: &str = "180";

async fn run(program: Command, script: &[PathBuf], hubs: &[&str], flags: &[&str]) -> Result<String> {
    let urls: Vec<String> = hubs.iter().map(|hub| format!("ws://{hub}/connection/websocket")).collect();
    let name = script.first().map_or_else(|| format!("{program:?}"), |script| script.display().to_string());
    let mut command = Command::new("timeout");
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.arg(SECONDS_MAX).arg(program.get_program()).args(script).args(urls).args(flags).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await?;
    let output = output.with_context(|| format!("could not start {name}"))?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{name}: {}\n{out}\n{err}", output.status);
    Ok(out.into_owned())
}
