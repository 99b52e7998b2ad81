//! PostgreSQL: one cluster, TCP only, everybody on this machine is trusted. It never runs as root.

use super::port::Port;
use super::process::{Life, Signal};
use super::server::Program;
use crate::workspace;
use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long an answer may take while we wait for it to serve.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);
/// The superuser of the clusters made here, and the system's user that they run as when we are root.
const USER: &str = "postgres";

/// What the caller may choose.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Settings of postgresql.conf, such as `("fsync", "off")`.
    pub settings: Vec<(String, String)>,
    /// The port; `None` takes a free one.
    pub port: Option<u16>,
    /// Whether it goes on after us.
    pub life: Life,
}

impl Options {
    /// For tests: many connections, and no waiting for the disk. A killed process loses nothing; a power cut might.
    pub fn for_tests() -> Self {
        let settings = [("fsync", "off"), ("full_page_writes", "off"), ("max_connections", "400")];
        Self { settings: settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into(), ..Self::default() }
    }
}

/// What is special about PostgreSQL.
#[derive(Debug)]
pub struct Cluster {
    port: Port,
    folder: PathBuf,
    settings: Vec<(String, String)>,
    programs: PathBuf,
    owner: Option<(u32, u32)>,
}

impl Program for Cluster {
    type Options = Options;
    const NAME: &'static str = "PostgreSQL";
    // TERM would wait until the last client has left by itself.
    const STOP: Signal = Signal::Interrupt;

    fn new(folder: &Path, options: &Options) -> Result<Self> {
        let port = options.port.map_or_else(Port::free, |port| Ok(Port::fixed(port)))?;
        let programs = programs().context("there is no PostgreSQL server here: no `initdb` was found")?;
        let owner = owner()?;
        Ok(Self { port, folder: folder.to_owned(), settings: options.settings.clone(), programs, owner })
    }

    fn life(options: &Options) -> Life {
        options.life
    }

    fn command(&self) -> Result<Command> {
        if let Some((user, group)) = self.owner {
            chown(&self.folder, Some(user), Some(group))?;
        }
        if !self.data().join("PG_VERSION").exists() {
            self.init()?;
        }
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &self.port().to_string(), "-k", ""]);
        command.args(["-c", "listen_addresses=127.0.0.1"]);
        for (key, value) in &self.settings {
            command.args(["-c", &format!("{key}={value}")]);
        }
        Ok(command)
    }

    fn serves(&self, _pid: u32) -> bool {
        is_ready(self.port()).unwrap_or(false)
    }

    fn address(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port())
    }

    fn port(&self) -> u16 {
        self.port.number()
    }

    fn may_move(&self) -> bool {
        !self.port.is_fixed()
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }
}

impl Cluster {
    /// A command that runs as the owner of the data.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(&self.folder);
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    fn init(&self) -> Result<()> {
        let mut command = self.program("initdb");
        command.arg("-D").arg(self.data()).args(["-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C.UTF-8"]);
        let output = command.arg("--no-sync").output().with_context(|| {
            let folder = self.folder.display();
            format!("could not start `initdb` in {folder}: can the user `{USER}` reach that folder?")
        })?;
        if !output.status.success() {
            bail!("`initdb` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

/// Whether the user that PostgreSQL will run as can enter this folder. Root's home, for one, is closed to it.
pub fn can_reach(folder: &Path) -> bool {
    let Ok(Some((user, group))) = owner() else { return true };
    let mut test = Command::new("test");
    test.arg("-x").arg(folder).uid(user).gid(group).current_dir("/");
    test.status().is_ok_and(|status| status.success())
}

/// The folder of PostgreSQL's own programs: the newest that Debian installed, else where `initdb` is on PATH.
pub fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| folder.join("initdb").exists())
        .collect();
    found.sort();
    let on_path = || workspace::on_path("initdb").and_then(|file| Some(file.parent()?.to_owned()));
    found.pop().map(|(_, folder)| folder).or_else(on_path)
}

/// Whom it runs as: ourselves (`None`), or the system's own user if we are root.
fn owner() -> Result<Option<(u32, u32)>> {
    if !workspace::is_root() {
        return Ok(None);
    }
    let ids = workspace::id_of(USER).zip(workspace::group_of(USER));
    Ok(Some(ids.with_context(|| format!("PostgreSQL does not run as root, and there is no user `{USER}`"))?))
}

/// Says hello as a client does; ready means that the server let us in.
fn is_ready(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let words = format!("user\0{USER}\0database\0postgres\0\0");
    let mut hello = (words.len() as u32 + 8).to_be_bytes().to_vec();
    hello.extend(0x0003_0000_u32.to_be_bytes()); // protocol 3.0
    hello.extend(words.as_bytes());
    stream.write_all(&hello)?;
    let mut kind = [0; 1];
    stream.read_exact(&mut kind)?;
    // `R`: authentication is fine. While it starts or recovers it answers `E`.
    Ok(kind == *b"R")
}
