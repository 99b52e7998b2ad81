//! Runs the scripts of `clients/`, which use stock SDKs only, and fails with what they said when they fail.

use crate::world::service;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use xtask::services::port::Port;
use xtask::services::{Life, Process};

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

/// Runs a script of `web/tests` that drives a real browser through the web client of hubs, with flags of its own.
pub async fn web(script: &str, hubs: &[&str], flags: &[&str]) -> Result<String> {
    let chromium = tokio::task::spawn_blocking(xtask::install::browser).await??;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("web").join("tests");
    let mut command = Command::new("node");
    command.env("CHROMIUM", chromium);
    run(command, &[folder.join(script)], hubs, flags).await
}

/// Runs the tests of `clients/js`, and those of `web` that need no browser.
pub async fn javascript_tests() -> Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [root.with_file_name("clients").join("js/test"), root.with_file_name("web").join("test")];
    let [client, web] = folders;
    run(Command::new("node"), &["--test".into(), client, web], &[], &[]).await
}

/// Runs a script of `clients/node` that drives a real browser, with flags of the script's own and no hub's address.
pub async fn browser_with(script: &str, flags: &[&str]) -> Result<String> {
    let chromium = tokio::task::spawn_blocking(xtask::install::browser).await??;
    let folder = PathBuf::from(service("CONFAB_TEST_NODE")?);
    let mut command = Command::new("node");
    command.env("CHROMIUM", chromium);
    run(command, &[folder.join(script)], &[], flags).await
}

/// Runs a script of `clients/node` that drives a real browser through a front end written for another server: `page`
/// of `tests/fixtures`, served at `port` of this machine.
pub async fn front_end(script: &str, hub: &str, page: &str, port: &Port) -> Result<String> {
    let chromium = tokio::task::spawn_blocking(xtask::install::browser).await??;
    let folder = PathBuf::from(service("CONFAB_TEST_NODE")?);
    let mut command = Command::new("node");
    command.env("CHROMIUM", chromium);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(page);
    let flags = ["--page", &page.display().to_string(), "--port", &port.number().to_string()];
    run(command, &[folder.join(script)], &[hub], &flags).await
}

/// Runs a script of `clients/node` against an address as it is.
pub async fn node_at(script: &str, url: &str) -> Result<String> {
    let folder = PathBuf::from(service("CONFAB_TEST_NODE")?);
    run(Command::new("node"), &[folder.join(script)], &[], &[url]).await
}

/// Runs a program of `clients/java` against hubs, given as `host:port`.
pub async fn java(program: &str, hubs: &[&str]) -> Result<String> {
    let folder = PathBuf::from(service("CONFAB_TEST_NODE")?).with_file_name("java");
    let jars = format!("{}/*", service("CONFAB_TEST_JAVA_LIB")?);
    let script = ["-cp".into(), jars.into(), folder.join("src").join(program)];
    run(Command::new("java"), &script, hubs, &[]).await
}

/// A program of the guide, in a folder of its own, with the packages of `clients/`.
pub struct Documented {
    process: Process,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

impl Documented {
    /// Starts it.
    pub async fn start(language: &str, name: &str, program: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (script, log) = (folder.path().join(name), folder.path().join("said"));
        std::fs::write(&script, program)?;
        let clients = PathBuf::from(service("CONFAB_TEST_NODE")?);
        let mut command = match language {
            "node" => {
                std::os::unix::fs::symlink(clients.join("node_modules"), folder.path().join("node_modules"))?;
                Command::new("node")
            }
            "python" => Command::new(service("CONFAB_TEST_PYTHON")?),
            "java" => {
                let mut java = Command::new("java");
                java.args(["-cp", &format!("{}/*", service("CONFAB_TEST_JAVA_LIB")?)]);
                java
            }
            "go" => {
                for file in ["go.mod", "go.sum"] {
                    std::fs::copy(clients.with_file_name("go").join(file), folder.path().join(file))?;
                }
                Command::new(go_build(folder.path(), folder.path()).await?)
            }
            other => anyhow::bail!("nothing here runs {other}"),
        };
        if language != "go" {
            command.arg(&script);
        }
        let process = Process::spawn(command, &log, Life::WithUs)?;
        Ok(Self { process, log, _folder: folder })
    }

    /// Waits until it has printed `what`, and ends it.
    pub async fn says(mut self, what: &str) -> Result<()> {
        let said = || std::fs::read_to_string(&self.log).unwrap_or_default();
        let begun = std::time::Instant::now();
        while !said().contains(what) {
            ensure!(begun.elapsed() < crate::PATIENCE, "it did not say {what:?}, only:\n{}", said());
            ensure!(self.process.exited()?.is_none(), "it ended and said:\n{}", said());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        self.process.kill().map(drop)
    }
}

/// The server of the protocol authors' suites, `hub/examples/conformance.rs`, with a heartbeat that a busy machine
/// keeps up with.
pub struct Conformance {
    /// Its echo of Engine.IO messages.
    pub echo: String,
    /// Its echo of WebSocket messages, as `host:port`.
    pub bare: String,
    _process: Process,
    _port: Port,
    _folder: tempfile::TempDir,
}

impl Conformance {
    /// Starts it and waits until it listens.
    pub async fn start() -> Result<Self> {
        let (port, folder) = (Port::free()?, tempfile::tempdir()?);
        let bare = format!("127.0.0.1:{}", port.number());
        let mut command = Command::new(crate::process::program("examples/conformance"));
        command.args([&bare, "--calm"]);
        let process = Process::spawn(command, &folder.path().join("log"), Life::WithUs)?;
        let reached = async || tokio::net::TcpStream::connect(&bare).await.ok();
        crate::eventually("the conformance server listens", reached).await;
        let echo = format!("http://{bare}/engine.io/");
        Ok(Self { echo, bare, _process: process, _port: port, _folder: folder })
    }
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
    let program = go_build(&folder, built.path()).await?;
    run(Command::new(program), &[], hubs, &[]).await
}

/// Builds the Go program in `folder` into another.
async fn go_build(folder: &Path, into: &Path) -> Result<PathBuf> {
    let program = into.join("client");
    let mut build = Command::new("timeout");
    build.args([GO_BUILD_SECONDS_MAX, "go", "-C"]).arg(folder).args(["build", "-mod=readonly", "-o"]).arg(&program);
    let output = tokio::task::spawn_blocking(move || build.stdin(Stdio::null()).output()).await?;
    let output = output.context("could not start `go`")?;
    ensure!(
        output.status.success(),
        "could not build {}: {}",
        folder.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(program)
}

/// How long the Go client may take to build; the first time, its modules are fetched.
const GO_BUILD_SECONDS_MAX: &str = "300";

/// How long a script may take; `timeout` ends one that hangs.
const SECONDS_MAX: &str = "180";

async fn run(program: Command, script: &[PathBuf], hubs: &[&str], flags: &[&str]) -> Result<String> {
    let urls: Vec<String> = hubs.iter().map(|hub| format!("ws://{hub}/connection/websocket")).collect();
    let name = script.last().map_or_else(|| format!("{program:?}"), |script| script.display().to_string());
    let mut command = Command::new("timeout");
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.arg(SECONDS_MAX).arg(program.get_program()).args(script).args(urls).args(flags).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await?;
    let output = output.with_context(|| format!("could not start {name}"))?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{name}: {}\n{out}\n{err}", output.status);
    Ok(out.into_owned())
}
