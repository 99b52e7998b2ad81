//! What is started for a run: services and servers, alone on the first processor.

use anyhow::{Context, Result, bail};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use xtask::services::port::Port;
use xtask::services::{Kafka, Life, Postgres, Process, Redis, kafka, postgres, redis};

/// The processor of everything that is measured.
pub const SERVER: &str = "0";
/// What all tokens are signed with.
pub const SECRET: &str = "a secret of the bench, known to all";
/// The limits of users and of addresses, out of the way: here one user stands for a crowd, and one address for all of them.
pub const UNLIMITED: &str = "[limits]\nuser_sessions = 1000000\nuser_commands_per_second = 10000000\n\
    user_commands_burst = 10000000\nuser_new_rooms_per_minute = 10000000\nuser_new_rooms_burst = 10000000\n\
    connections_per_address = 1000000\nhandshakes_per_address = 1000000\n";
/// How long a server may take to serve.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Where the programs are.
pub struct Programs {
    pub confab: PathBuf,
    pub unjournaled: PathBuf,
    pub consumer: PathBuf,
    pub one_table: PathBuf,
    pub bench: PathBuf,
    pub plugin: PathBuf,
    pub socketio: PathBuf,
    pub centrifuge: PathBuf,
    /// The folder of Kafka's jars.
    pub kafka: PathBuf,
    /// The folder of Kafka Connect's jars.
    pub connect: PathBuf,
    /// Whether each program can be given a processor.
    pub pins: bool,
}

/// A subject that serves.
pub struct Serving {
    /// Its addresses.
    pub targets: Vec<String>,
    /// What connections say that they are.
    pub token: String,
    /// Where its metrics are, of a hub.
    pub metrics: Option<String>,
    pub processes: Vec<Process>,
    pub services: Services,
    /// Kept from others as long as it serves.
    pub ports: Vec<Port>,
}

impl Serving {
    /// Its services, and nobody else yet.
    pub fn new(services: Services) -> Self {
        let (targets, processes, ports) = (Vec::new(), Vec::new(), Vec::new());
        Self { targets, token: String::new(), metrics: None, processes, services, ports }
    }

    /// The processes that are counted: its own, its Redis, and whom it asks.
    pub fn pids(&self) -> Vec<u32> {
        let redis = self.services.redis.as_ref().and_then(Redis::pid);
        let hook = self.services.hook.as_ref().map(|(hook, _)| hook.pid());
        self.processes.iter().map(Process::pid).chain(redis).chain(hook).collect()
    }

    /// The process that is counted apart: its Kafka.
    pub fn beside(&self) -> Option<u32> {
        self.services.kafka.as_ref().and_then(Kafka::pid)
    }
}

/// What a subject needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub redis: bool,
    pub kafka: bool,
    pub postgres: bool,
    /// A server that is asked about each message, and lets all pass.
    pub hook: bool,
    /// They may run on any processor, and PostgreSQL waits for its disk.
    pub whole_machine: bool,
}

/// What subjects stand on.
pub struct Services {
    pub redis: Option<Redis>,
    pub kafka: Option<Kafka>,
    pub postgres: Option<Postgres>,
    hook: Option<(Process, Port)>,
}

impl Services {
    /// Starts what is needed, on the processor of the servers.
    pub fn start(needs: Needs, programs: &Programs, folder: &Path) -> Result<Self> {
        let redis = needs.redis.then(|| Redis::start(&folder.join("redis"), redis::Options::default())).transpose()?;
        let options = kafka::Options { jars: Some(programs.kafka.clone()), ..Default::default() };
        let kafka = needs.kafka.then(|| Kafka::start(&folder.join("kafka"), options)).transpose()?;
        let options = match needs.whole_machine {
            true => postgres::Options::default(),
            false => postgres::Options::for_tests(),
        };
        let postgres = needs.postgres.then(|| Postgres::start(&folder.join("postgres"), options)).transpose()?;
        let hook = needs.hook.then(|| start_hook(programs, folder)).transpose()?;
        let services = Self { redis, kafka, postgres, hook };
        let pids = [services.redis.as_ref().and_then(Redis::pid), services.kafka.as_ref().and_then(Kafka::pid)];
        for pid in pids.into_iter().flatten().filter(|_| programs.pins && !needs.whole_machine) {
            let output = Command::new("taskset").args(["-acp", SERVER, &pid.to_string()]).output()?;
            if !output.status.success() {
                bail!("could not give a service its processor: {}", String::from_utf8_lossy(&output.stderr).trim());
            }
        }
        Ok(services)
    }

    /// Where Redis is.
    pub fn redis(&self) -> Option<String> {
        self.redis.as_ref().map(Redis::address)
    }

    /// Where messages are asked about.
    pub fn hook(&self) -> Option<String> {
        self.hook.as_ref().map(|(_, port)| format!("http://127.0.0.1:{}", port.number()))
    }

    /// Where Kafka is.
    pub fn kafka(&self) -> Option<String> {
        self.kafka.as_ref().map(Kafka::address)
    }

    /// The tables of hub.toml that make the cluster profile; nothing if they are not all here.
    pub fn toml(&self) -> String {
        let (Some(redis), Some(kafka), Some(postgres)) = (self.redis(), self.kafka(), &self.postgres) else {
            return String::new();
        };
        let postgres = postgres.address();
        format!(
            "[timeline.redis]\nurl = \"{redis}\"\n[journal.kafka]\nbrokers = [\"{kafka}\"]\n\
             [store.postgres]\nurl = \"{postgres}\"\n"
        )
    }
}

fn start_hook(programs: &Programs, folder: &Path) -> Result<(Process, Port)> {
    let port = Port::free()?;
    let address = format!("127.0.0.1:{}", port.number());
    let mut command = pinned(&programs.centrifuge, SERVER, programs.pins);
    command.args(["-listen", &address, "-judge"]);
    Ok((launch(command, &address, &folder.join("log-hook"))?, port))
}

/// A command that runs on one processor, and may open as many files as this user may.
pub fn pinned(program: &Path, processor: &str, pins: bool) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n \"$(ulimit -H -n)\" && exec \"$@\"", "sh"]);
    if pins {
        command.args(["taskset", "-c", processor]);
    }
    command.arg(program);
    command
}

/// It reads its own file and nothing else.
pub fn alone(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CONFAB_")) {
        command.env_remove(name);
    }
    command
}

/// Starts a server, and waits until it serves.
pub fn launch(command: Command, address: &str, log: &Path) -> Result<Process> {
    let mut process = Process::spawn(command, log, Life::WithUs)?;
    wait(address, &mut process, log)?;
    Ok(process)
}

/// Waits until it takes connections.
pub fn wait(address: &str, process: &mut Process, log: &Path) -> Result<()> {
    wait_until(process, log, || TcpStream::connect(address).is_ok())
}

/// Waits until `serves` says so.
pub fn wait_until(process: &mut Process, log: &Path, serves: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    while !serves() {
        let said = || std::fs::read_to_string(log).unwrap_or_default();
        if let Some(status) = process.exited()? {
            bail!("it ended with {status} before it served: {}", said());
        }
        if Instant::now() >= deadline {
            bail!("it did not serve within {START_TIMEOUT:?}: {}", said());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Makes the topics and tables of a cluster.
pub fn migrate(programs: &Programs, config: &Path) -> Result<()> {
    let mut command = Command::new(&programs.confab);
    command.args(["migrate", "--config"]).arg(config).env("CONFAB_LOG", "warn");
    crate::cargo::output_of(&mut command).map(drop)
}

/// A token for everybody: that all are one user costs no server less.
pub fn token(programs: &Programs, config: &Path) -> Result<String> {
    if !config.exists() {
        std::fs::write(config, format!("[auth]\nhmac_secret = \"{SECRET}\"\n"))?;
    }
    let mut command = Command::new(&programs.confab);
    command.args(["token", "create", "bench", "--config"]).arg(config);
    let text = crate::cargo::output_of(&mut command)?;
    Ok(text.lines().last().context("no token was made")?.trim().to_owned())
}
