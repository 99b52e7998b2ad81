//! What all three services have in common: start, wait until it serves, stop, kill, pause, start again.

use super::process::{Identity, Life, Process, Signal};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a paused process may take to stand still.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server may take until it serves; a cold machine with two busy cores is slow.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a server may take to end by itself.
const STOP_GRACE: Duration = Duration::from_secs(30);
/// How often a starting server is asked whether it serves.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// How many sets of ports are tried when somebody else is faster.
const TRIES: u32 = 4;

/// What is special about one kind of server.
pub trait Program: Sized {
    /// What the caller may choose.
    type Options;
    /// Its name, as people write it.
    const NAME: &'static str;
    /// What makes it end soon and in order.
    const STOP: Signal;

    /// Takes ports; `folder` exists and belongs to this server alone.
    fn new(folder: &Path, options: &Self::Options) -> Result<Self>;
    /// Whether it goes on after us.
    fn life(options: &Self::Options) -> Life;
    /// Writes its files, where they are missing, and says how to start it.
    fn command(&self) -> Result<Command>;
    /// Whether the process `pid` answers like a server that serves.
    fn serves(&self, pid: u32) -> bool;
    /// Where clients find it, as they write it: `redis://127.0.0.1:16379`.
    fn address(&self) -> String;
    /// The port that clients connect to.
    fn port(&self) -> u16;
    /// Whether other ports may be taken when these are in use.
    fn may_move(&self) -> bool;
    /// The folder that holds its data and nothing else.
    fn data(&self) -> PathBuf;
}

/// A server that runs in a folder of its own. Dropping it kills it, unless it is meant to stay in the background.
#[derive(Debug)]
pub struct Server<P: Program> {
    /// What is special about it.
    pub(super) program: P,
    folder: PathBuf,
    life: Life,
    process: Option<Process>,
}

impl<P: Program> Server<P> {
    /// Starts one in `folder`, which is made if it is missing, and returns when it serves. Data already there is used.
    pub fn start(folder: &Path, options: P::Options) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
        let folder = folder.canonicalize()?;
        for attempt in 1.. {
            let program = P::new(&folder, &options)?;
            let mut server = Self { program, folder: folder.clone(), life: P::life(&options), process: None };
            match server.launch() {
                Ok(()) => return Ok(server),
                Err(_) if attempt < TRIES && server.program.may_move() && server.lost_its_port() => {}
                Err(error) => return Err(error),
            }
        }
        unreachable!("the loop ends by returning");
    }

    /// Where clients find it, as they write it: `redis://127.0.0.1:16379`. It stays the same over restarts.
    pub fn address(&self) -> String {
        self.program.address()
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.program.port()
    }

    /// The file in which its output is kept.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Who it is, for somebody who wants to end it later. `None` while it is down.
    pub fn identity(&self) -> Option<Identity> {
        self.pid().and_then(Identity::of)
    }

    /// Whether its process is there; a paused one is.
    pub fn is_running(&mut self) -> Result<bool> {
        match &mut self.process {
            Some(process) => Ok(process.exited()?.is_none()),
            None => Ok(false),
        }
    }

    /// Whether it answers now.
    pub fn serves(&self) -> bool {
        self.pid().is_some_and(|pid| self.program.serves(pid))
    }

    /// Ends it in order, and kills it if that takes longer than 30 s. Its data stays. Without effect if it is down.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.end(P::STOP, STOP_GRACE)?;
        }
        Ok(())
    }

    /// Ends it at once, as if the process had crashed. Its data stays as it is. Without effect if it is down.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }

    /// Makes it stand still: its sockets stay open, and nothing is answered. Returns when it stands: on a busy machine a
    /// stopped process may still answer for a moment.
    pub fn pause(&self) -> Result<()> {
        self.running()?.stop_family(STOP_TIMEOUT)
    }

    /// Lets it go on after [`pause`](Self::pause).
    pub fn resume(&self) -> Result<()> {
        self.running()?.signal_family(Signal::Continue)
    }

    /// Starts it again with its data at the same address, stopping it before if it runs. Returns when it serves.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.launch()
    }

    /// Starts it again at the same address with nothing in it, as after the loss of a disk.
    pub fn restart_empty(&mut self) -> Result<()> {
        self.stop()?;
        let data = self.program.data();
        match std::fs::remove_dir_all(&data) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("could not remove {}", data.display()))
            }
            _ => self.launch(),
        }
    }

    fn running(&self) -> Result<&Process> {
        self.process.as_ref().with_context(|| format!("{} is down", P::NAME))
    }

    fn launch(&mut self) -> Result<()> {
        let command = self.program.command()?;
        // The log of an earlier start would blur why this one failed.
        let _ = std::fs::rename(self.log(), self.folder.join("log.before"));
        let process = self.process.insert(Process::spawn(command, &self.folder.join("log"), self.life)?);
        let deadline = Instant::now() + START_TIMEOUT;
        let failure = loop {
            if let Some(status) = process.exited()? {
                break format!("{} ended with {status} before it served", P::NAME);
            }
            if self.program.serves(process.pid()) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                break format!("{} did not serve within {START_TIMEOUT:?}", P::NAME);
            }
            std::thread::sleep(ASK_EVERY);
        };
        process.kill()?;
        self.process = None;
        bail!("{failure}; its log {} ends with:\n{}", self.log().display(), tail(&self.log()))
    }

    /// Whether the last start failed because somebody else took the port first.
    fn lost_its_port(&self) -> bool {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default().to_lowercase();
        log.contains("address already in use") || log.contains("address in use")
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
