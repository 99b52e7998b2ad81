//! `cargo xtask up`, `down` and `status`: a small cluster in the background.

use super::cluster::{self, MEMBERS, Member};
use super::{plugins, web};
use crate::{cargo, cli};
use anyhow::{Context, Result, bail};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use xtask::progress::{Progress, say};
use xtask::services::{
    Identity, Kafka, Life, Postgres, Process, Program, Redis, Server, Signal, kafka, port, postgres, redis,
};
use xtask::{install, workspace};

/// How long a hub or the consumer may take until it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a member may take to drain, a little above the hub's own limit, and a service to stop.
const END_GRACE: Duration = Duration::from_secs(35);

/// Starts what is not running yet.
pub fn up(arguments: &cli::Up) -> Result<()> {
    let jars = install::for_services()?;
    kafka::archive_classes(&jars)?;
    plugins::build()?;
    web::build_if_possible()?;
    let programs = cargo::build(&["confab", "confab-consumer"], arguments.release)?;
    let folder = folder()?;
    let background = Life::Background;
    start_service::<redis::Instance>("redis", cluster::REDIS, || {
        // An append-only file, so that what was said is still there after `down` and `up`.
        let args = ["--appendonly", "yes"].map(str::to_owned).into();
        Redis::start(&folder.join("redis"), redis::Options { args, port: Some(cluster::REDIS), life: background })
    })?;
    start_service::<postgres::Cluster>("postgres", cluster::POSTGRES, || {
        let options = postgres::Options { port: Some(cluster::POSTGRES), life: background, ..Default::default() };
        Postgres::start(&postgres_folder()?, options)
    })?;
    start_service::<kafka::Broker>("kafka", cluster::KAFKA, || {
        let options =
            kafka::Options { port: Some(cluster::KAFKA), jars: Some(jars), life: background, ..Default::default() };
        Kafka::start(&folder.join("kafka"), options)
    })?;
    cluster::write_configs(&folder)?;
    let mut migrate = Command::new(programs.join("confab"));
    cargo::run(migrate.arg("migrate").arg("--config").arg(MEMBERS[1].config(&folder)))?;
    for member in &MEMBERS {
        start_member(member, &programs, &folder)?;
    }
    say(&what_to_try());
    Ok(())
}

/// Ends what runs, in the opposite order.
pub fn down(arguments: &cli::Down) -> Result<()> {
    let members = MEMBERS.iter().rev().map(|member| (member.name, Signal::Term));
    let services = [("kafka", Signal::Term), ("postgres", Signal::Interrupt), ("redis", Signal::Term)];
    for (name, signal) in members.chain(services) {
        let Some(identity) = running(name)? else {
            say(&format!("· {name}: not running"));
            continue;
        };
        let progress = Progress::start(format!("{name} (pid {})", identity.pid));
        let killed = identity.end(signal, END_GRACE)?;
        std::fs::remove_file(pid_file(name)?)?;
        progress.done(if killed { "did not end in time, and was killed" } else { "ended" });
    }
    if arguments.wipe {
        let elsewhere = postgres_folder()?;
        for data in [elsewhere, folder()?] {
            if data.exists() {
                std::fs::remove_dir_all(&data).with_context(|| format!("could not remove {}", data.display()))?;
            }
        }
        say("✓ the data is removed");
    }
    Ok(())
}

/// One line for each.
pub fn status() -> Result<()> {
    let services = [("redis", cluster::REDIS), ("postgres", cluster::POSTGRES), ("kafka", cluster::KAFKA)];
    for (name, port) in services {
        line(name, running(name)?, !port::is_free(port), &format!("127.0.0.1:{port}"))?;
    }
    for member in &MEMBERS {
        let address = member.listen.unwrap_or(member.admin);
        line(member.name, running(member.name)?, is_ready(&member.admin_address()), &format!("127.0.0.1:{address}"))?;
    }
    Ok(())
}

fn line(name: &str, identity: Option<Identity>, answers: bool, address: &str) -> Result<()> {
    let state = match (identity, answers) {
        (Some(identity), true) => format!("✓ up      pid {:<8} {address}", identity.pid),
        (Some(identity), false) => format!("✗ silent  pid {:<8} its log: {}", identity.pid, log(name)?.display()),
        (None, true) => format!("✗ down    but somebody else answers at {address}"),
        (None, false) => "· down".into(),
    };
    say(&format!("{name:<10} {state}"));
    Ok(())
}

/// Starts a service, unless the one that an earlier `up` started still runs.
fn start_service<P: Program>(name: &str, port: u16, start: impl FnOnce() -> Result<Server<P>>) -> Result<()> {
    if let Some(identity) = running(name)? {
        say(&format!("· {name}: runs already (pid {})", identity.pid));
        return Ok(());
    }
    if !port::is_free(port) {
        bail!("{} cannot be started: somebody else listens on 127.0.0.1:{port}", P::NAME);
    }
    let progress = Progress::start(P::NAME);
    let server = start()?;
    remember(name, server.identity())?;
    progress.done(&server.address());
    Ok(())
}

/// Starts a hub or the consumer, and waits until it says that it is ready.
fn start_member(member: &Member, programs: &Path, folder: &Path) -> Result<()> {
    if let Some(identity) = running(member.name)? {
        say(&format!("· {}: runs already (pid {})", member.name, identity.pid));
        return Ok(());
    }
    let progress = Progress::start(member.name);
    let mut command = Command::new(programs.join(member.program));
    if member.listen.is_some() {
        command.arg("run");
    }
    command.arg("--config").arg(member.config(folder)).current_dir(workspace::root());
    let mut process = Process::spawn(command, &log(member.name)?, Life::Background)?;
    remember(member.name, Identity::of(process.pid()))?;
    let deadline = Instant::now() + READY_TIMEOUT;
    while !is_ready(&member.admin_address()) {
        if let Some(status) = process.exited()? {
            bail!("{} ended with {status}; see {}", member.name, log(member.name)?.display());
        }
        if Instant::now() >= deadline {
            bail!("{} was not ready within {READY_TIMEOUT:?}; see {}", member.name, log(member.name)?.display());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    progress.done(&format!("ready, http://{}/readyz", member.admin_address()));
    Ok(())
}

/// Whether `GET /readyz` at this admin address says yes.
pub fn is_ready(address: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}

/// Where state, logs and pids lie. Ignored by git.
fn folder() -> Result<PathBuf> {
    let folder = workspace::root().join(".services");
    std::fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    Ok(folder)
}

/// PostgreSQL's folder: with the others, unless its user cannot reach the clone, as under root's home.
fn postgres_folder() -> Result<PathBuf> {
    let folder = folder()?;
    if postgres::can_reach(&folder) {
        return Ok(folder.join("postgres"));
    }
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    Ok(Path::new("/var/tmp").join(format!("confab-postgres-{:016x}", hasher.finish())))
}

fn log(name: &str) -> Result<PathBuf> {
    Ok(match MEMBERS.iter().any(|member| member.name == name) {
        true => folder()?.join(format!("{name}.log")),
        false if name == "postgres" => postgres_folder()?.join("log"),
        false => folder()?.join(name).join("log"),
    })
}

fn pid_file(name: &str) -> Result<PathBuf> {
    Ok(folder()?.join(format!("{name}.pid")))
}

/// Keeps who was started, so that a later `down` ends it and nobody else.
fn remember(name: &str, identity: Option<Identity>) -> Result<()> {
    let Identity { pid, started } = identity.with_context(|| format!("{name} ended right after it was started"))?;
    Ok(std::fs::write(pid_file(name)?, format!("{pid}\n{started}\n"))?)
}

/// Who was started by an earlier `up`, if it still runs.
fn running(name: &str) -> Result<Option<Identity>> {
    let text = std::fs::read_to_string(pid_file(name)?).unwrap_or_default();
    let Some((pid, started)) = text.trim().split_once('\n') else { return Ok(None) };
    let pid = pid.parse().with_context(|| format!("{} is damaged", pid_file(name).unwrap_or_default().display()))?;
    Ok(Some(Identity { pid, started: started.to_owned() }).filter(Identity::is_alive))
}

fn what_to_try() -> String {
    let mut text = String::from("\n");
    for member in &MEMBERS {
        if let Some(listen) = member.listen {
            text += &format!("  {:<10} http://127.0.0.1:{listen}/", member.name);
        } else {
            text += &format!("  {:<10} journal → store      ", member.name);
        }
        text += &format!("   metrics http://{}/metrics\n", member.metrics_address());
    }
    text += &format!(
        "  redis      redis://127.0.0.1:{}
  kafka      127.0.0.1:{}
  postgres   psql postgres://postgres@127.0.0.1:{}/postgres

  said on one hub, heard on the other:
    node clients/node/first-message.mjs ws://127.0.0.1:8001/connection/websocket --user ada
  a link is cut, and nothing is missed:
    node clients/node/drop-and-recover.mjs ws://127.0.0.1:8000/connection/websocket ws://127.0.0.1:8001/connection/websocket
  what runs: cargo xtask status     the end: cargo xtask down\n",
        cluster::REDIS,
        cluster::KAFKA,
        cluster::POSTGRES
    );
    text
}
