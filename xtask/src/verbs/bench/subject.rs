//! Who is measured, and how each is started: alone on the first processor.

use anyhow::{Context, Result, bail};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use xtask::services::port::Port;
use xtask::services::{Life, Process, Redis, redis};

/// The processor of everything that is measured.
pub const SERVER: &str = "0";
/// How long a server may take to serve.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// What all tokens are signed with.
pub const SECRET: &str = "a secret of the bench, known to all";

/// Somebody who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The embedded hub: every message is committed to SQLite. The native dialect in JSON.
    Confab,
    /// The same, with each message judged by a plugin.
    ConfabJudged,
    /// The embedded hub, in the Socket.IO dialect.
    ConfabSocketio,
    /// Bare tokio-tungstenite, used well.
    Floor,
    /// A server on the `centrifuge` library, memory engine with history and positions.
    Centrifuge,
    /// The same, on Redis.
    CentrifugeRedis,
    /// Socket.IO 4 on Node.js.
    Socketio,
    /// Two nodes of the same, joined by the Redis adapter.
    SocketioRedis,
}

/// Where the programs are.
pub struct Programs {
    pub confab: PathBuf,
    pub bench: PathBuf,
    pub plugin: PathBuf,
    pub socketio: PathBuf,
    pub centrifuge: PathBuf,
    /// Whether each program can be given a processor.
    pub pins: bool,
}

/// A subject that serves.
pub struct Serving {
    /// Its addresses.
    pub targets: Vec<String>,
    /// Its processes, those of its services too.
    pub pids: Vec<u32>,
    /// What connections say that they are.
    pub token: String,
    _processes: Vec<Process>,
    _redis: Option<Redis>,
    _ports: Vec<Port>,
}

impl Subject {
    /// Everybody.
    pub const ALL: [Self; 8] = [
        Self::Confab,
        Self::ConfabJudged,
        Self::ConfabSocketio,
        Self::Floor,
        Self::Centrifuge,
        Self::CentrifugeRedis,
        Self::Socketio,
        Self::SocketioRedis,
    ];

    /// What it is called on the command line and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Confab => "confab",
            Self::ConfabJudged => "confab-judged",
            Self::ConfabSocketio => "confab-socketio",
            Self::Floor => "floor",
            Self::Centrifuge => "centrifuge",
            Self::CentrifugeRedis => "centrifuge-redis",
            Self::Socketio => "socketio",
            Self::SocketioRedis => "socketio-redis",
        }
    }

    /// Whether it is ours.
    pub fn is_confab(self) -> bool {
        matches!(self, Self::Confab | Self::ConfabJudged | Self::ConfabSocketio)
    }

    /// What it is compared with: ours, in the same dialect where both speak it.
    pub fn counterpart(self) -> Self {
        match self {
            Self::Socketio | Self::SocketioRedis => Self::ConfabSocketio,
            _ => Self::Confab,
        }
    }

    /// What the generator calls the way it speaks.
    pub fn dialect(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Confab | Self::ConfabJudged | Self::Centrifuge | Self::CentrifugeRedis => "native",
            Self::ConfabSocketio | Self::Socketio | Self::SocketioRedis => "socketio",
        }
    }

    /// Starts it in an empty folder, and waits until it serves.
    pub fn start(self, programs: &Programs, folder: &Path) -> Result<Serving> {
        let redis = match self {
            Self::CentrifugeRedis | Self::SocketioRedis => Some(start_redis(programs, folder)?),
            _ => None,
        };
        let config = folder.join("hub.toml");
        let nodes = if self == Self::SocketioRedis { 2 } else { 1 };
        let (mut processes, mut ports, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for node in 0..nodes {
            let port = Port::free()?;
            let address = format!("127.0.0.1:{}", port.number());
            if self.is_confab() {
                let admin = Port::free()?;
                std::fs::write(&config, self.hub_toml(&address, admin.number(), folder, programs))?;
                ports.push(admin);
            }
            let command = self.command(programs, &port, &config, redis.as_ref())?;
            let log = folder.join(format!("log-{node}"));
            let mut process = Process::spawn(command, &log, Life::WithUs)?;
            wait(&address, &mut process, &log)?;
            processes.push(process);
            targets.push(address);
            ports.push(port);
        }
        let token = if self.dialect() == "floor" { String::new() } else { token(programs, &config)? };
        let pids = processes.iter().map(Process::pid).chain(redis.as_ref().and_then(Redis::pid)).collect();
        Ok(Serving { targets, pids, token, _processes: processes, _redis: redis, _ports: ports })
    }

    fn command(self, programs: &Programs, port: &Port, config: &Path, redis: Option<&Redis>) -> Result<Command> {
        let number = port.number().to_string();
        let program = match self {
            Self::Confab | Self::ConfabJudged | Self::ConfabSocketio => &programs.confab,
            Self::Floor => &programs.bench,
            Self::Centrifuge | Self::CentrifugeRedis => &programs.centrifuge,
            Self::Socketio | Self::SocketioRedis => Path::new("node"),
        };
        let mut command = pinned(program, SERVER, programs.pins);
        match self {
            Self::Confab | Self::ConfabJudged | Self::ConfabSocketio => {
                alone(&mut command).env("CONFAB_LOG", "warn").args(["run", "--config"]).arg(config);
            }
            Self::Floor => _ = command.args(["floor", &number]),
            Self::Centrifuge | Self::CentrifugeRedis => {
                let listen = format!("127.0.0.1:{number}");
                command.args(["-listen", &listen, "-secret", SECRET, "-history", "1000"]);
                if let Some(redis) = redis {
                    command.arg("-redis").arg(redis.address().replace("redis://", ""));
                }
            }
            Self::Socketio | Self::SocketioRedis => {
                command.arg(programs.socketio.join("server.mjs")).arg(&number);
                command.args(redis.map(Redis::address)).env("NODE_ENV", "production");
            }
        }
        Ok(command)
    }

    fn hub_toml(self, address: &str, admin: u16, folder: &Path, programs: &Programs) -> String {
        let data = folder.join("data");
        let mut text = format!(
            "listen = \"{address}\"\nadmin = \"127.0.0.1:{admin}\"\ndata = {data:?}\n\
             [auth]\nhmac_secret = \"{SECRET}\"\n"
        );
        if self == Self::ConfabJudged {
            text += &format!(
                "[plugin.word-filter]\nmodule = {:?}\n[plugin.word-filter.settings]\n\
                 words = [\"spam\", \"scam\"]\naction = \"mask\"\n\
                 [[chain]]\nrooms = [\"**\"]\non = [\"send\"]\nplugins = [\"word-filter\"]\n",
                programs.plugin
            );
        }
        text
    }
}

/// It reads its own file and nothing else.
pub fn alone(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CONFAB_")) {
        command.env_remove(name);
    }
    command
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

fn start_redis(programs: &Programs, folder: &Path) -> Result<Redis> {
    let redis = Redis::start(&folder.join("redis"), redis::Options::default())?;
    let pid = redis.pid().context("Redis has just been started")?.to_string();
    if programs.pins {
        let output = Command::new("taskset").args(["-acp", SERVER, &pid]).output()?;
        if !output.status.success() {
            bail!("could not give Redis its processor: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
    }
    Ok(redis)
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

/// Waits until it takes connections.
pub fn wait(address: &str, process: &mut Process, log: &Path) -> Result<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    while TcpStream::connect(address).is_err() {
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
