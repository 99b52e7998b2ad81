//! A child process that does not outlive its purpose.

use anyhow::{Context, Result, bail};
use std::fmt;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a killed process may take to be gone.
const KILL_GRACE: Duration = Duration::from_secs(10);
/// How often a process that should end is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How long a process is meant to live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// It ends with the value that owns it and, at the latest, with this process, however that ends.
    #[default]
    WithUs,
    /// It goes on after us, until somebody ends it by its pid.
    Background,
}

/// What a process can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Please end.
    Term,
    /// Please end; to PostgreSQL, without waiting for its clients.
    Interrupt,
    /// Read your settings again.
    Hangup,
    /// End now, without a chance to say goodbye.
    Kill,
    /// Stand still.
    Stop,
    /// Go on.
    Continue,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Term => "TERM",
            Self::Interrupt => "INT",
            Self::Hangup => "HUP",
            Self::Kill => "KILL",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        })
    }
}

/// A running child, its output in a log file.
#[derive(Debug)]
pub struct Process {
    child: Child,
    guard: Option<Guard>,
    life: Life,
}

impl Process {
    /// Starts the command, appending what it says to `log`. It gets a process group of its own, so that Ctrl-C in the
    /// terminal reaches us first and we decide in which order things end.
    pub fn spawn(mut command: Command, log: &Path, life: Life) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log);
        let file = file.with_context(|| format!("could not open {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        let child = command.spawn().with_context(|| format!("could not start `{name}`"))?;
        let guard = match life {
            Life::WithUs => Some(Guard::over(child.id())?),
            Life::Background => None,
        };
        Ok(Self { child, guard, life })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Sends a signal to it, and to it alone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        send(signal, &[self.pid()])
    }

    /// Sends a signal to it and to the processes it started, as PostgreSQL does for each of its clients.
    pub fn signal_family(&self, signal: Signal) -> Result<()> {
        let mut family = children(self.pid());
        family.push(self.pid());
        send(signal, &family)
    }

    /// Stops it and what it started, and waits until they stand still, where the system says whether they do. What it starts
    /// before it stands is told, too.
    pub fn stop_family(&self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        self.signal_family(Signal::Stop)?;
        loop {
            let family = std::iter::once(self.pid()).chain(children(self.pid()));
            let moving: Vec<u32> = family.filter(|pid| !stands_still(*pid)).collect();
            if moving.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("processes {moving:?} do not stand still {patience:?} after they were told to");
            }
            send(Signal::Stop, &moving)?;
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks it to end, and kills it if it has not within `grace`. Returns how it ended.
    pub fn end(&mut self, signal: Signal, grace: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.exited()? {
            return Ok(status);
        }
        self.signal(signal)?;
        if let Some(status) = self.wait(grace)? {
            return Ok(status);
        }
        self.kill()
    }

    /// Kills it and the processes it started, and waits until it is gone.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.exited()? {
            return Ok(status);
        }
        self.signal_family(Signal::Kill)?;
        match self.wait(KILL_GRACE)? {
            Some(status) => Ok(status),
            None => bail!("process {} is still there {KILL_GRACE:?} after it was killed", self.pid()),
        }
    }

    fn wait(&mut self, grace: Duration) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + grace;
        loop {
            match self.exited()? {
                Some(status) => return Ok(Some(status)),
                None if Instant::now() >= deadline => return Ok(None),
                None => std::thread::sleep(LOOK_EVERY),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.life == Life::WithUs {
            // Nothing to tell anyone here: the guard, dropped next, makes sure in any case.
            let _ = self.kill();
        }
        if let (Some(guard), Ok(Some(_))) = (self.guard.take(), self.child.try_wait()) {
            guard.dismiss();
        }
    }
}

/// A shell that waits on a pipe from us. If the pipe closes without a word, because we were killed or crashed, it kills
/// the process it watches.
#[derive(Debug)]
struct Guard(Child);

impl Guard {
    fn over(pid: u32) -> Result<Self> {
        Self::spawn("read -r _ || kill -s KILL \"$0\"", pid.to_string().as_ref())
    }

    fn spawn(script: &str, argument: &std::ffi::OsStr) -> Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).arg(argument).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(shell.process_group(0).spawn().context("could not start `sh`")?))
    }

    /// Tells it that there is nothing left to watch.
    fn dismiss(mut self) {
        if let Some(pipe) = &mut self.0.stdin {
            let _ = pipe.write_all(b"done\n");
        }
        let _ = self.0.wait();
    }
}

/// A folder that is removed when this value is dropped and, at the latest, soon after this process ends.
#[derive(Debug)]
pub struct Scratch {
    folder: std::path::PathBuf,
    guard: Option<Guard>,
}

impl Scratch {
    /// Makes an empty folder for throw-away data, whose name begins with `confab-` and `name`.
    pub fn new(name: &str) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("confab-{name}-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| format!("could not make {}", folder.display()))?;
        // Servers that die with us may still write for a moment: hence more than one try.
        let script = "read -r _ || for _ in 1 2 3 4 5; do sleep 1; rm -rf -- \"$0\" && break; done";
        let guard = Some(Guard::spawn(script, folder.as_os_str())?);
        Ok(Self { folder, guard })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let removed = std::fs::remove_dir_all(&self.folder).is_ok();
        if let (Some(guard), true) = (self.guard.take(), removed) {
            guard.dismiss();
        }
    }
}

/// Whether every thread of a process is stopped, or the process is gone.
fn stands_still(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['T', 'Z', 'X']))
    })
}

/// A process that somebody started earlier, told apart from a later one that was given the same pid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its process id.
    pub pid: u32,
    /// When it was started, in the system's own notation.
    pub started: String,
}

impl Identity {
    /// Who has this pid now, if anyone.
    pub fn of(pid: u32) -> Option<Self> {
        let started = match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            // The name in parentheses may hold anything, so the count begins behind it: state is field 3, start is 22.
            Ok(stat) => {
                let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
                if fields.first() == Some(&"Z") {
                    return None;
                }
                (*fields.get(19)?).to_owned()
            }
            Err(_) if Path::new("/proc/self/stat").exists() => return None,
            Err(_) => ps(&["-o", "lstart=", "-p", &pid.to_string()])?,
        };
        Some(Self { pid, started })
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Asks it to end, and kills it if it has not within `grace`. Returns whether it had to be killed.
    pub fn end(&self, signal: Signal, grace: Duration) -> Result<bool> {
        if !self.is_alive() {
            return Ok(false);
        }
        send(signal, &[self.pid])?;
        if self.wait(grace) {
            return Ok(false);
        }
        let mut family = children(self.pid);
        family.push(self.pid);
        send(Signal::Kill, &family)?;
        if !self.wait(KILL_GRACE) {
            bail!("process {} is still there {KILL_GRACE:?} after it was killed", self.pid);
        }
        Ok(true)
    }

    fn wait(&self, grace: Duration) -> bool {
        let deadline = Instant::now() + grace;
        while self.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        true
    }
}

/// The processes that `pid` started itself.
fn children(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok();
    let listed = listed.or_else(|| {
        let output = Command::new("pgrep").args(["-P", &pid.to_string()]).output().ok()?;
        String::from_utf8(output.stdout).ok()
    });
    listed.unwrap_or_default().split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn ps(arguments: &[&str]) -> Option<String> {
    let output = Command::new("ps").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// Sends a signal through the shell's own `kill`: the standard library has none, and `unsafe` is not worth it here.
fn send(signal: Signal, pids: &[u32]) -> Result<()> {
    let mut shell = Command::new("sh");
    shell.args(["-c", "kill -s \"$0\" \"$@\""]).arg(signal.to_string()).args(pids.iter().map(u32::to_string));
    let output = shell.output().context("could not start `sh`")?;
    // One of several may have ended by itself in between; that the first one is gone is what the caller looks at.
    if !output.status.success() && pids.iter().any(|pid| Identity::of(*pid).is_some()) && pids.len() == 1 {
        bail!("could not send {signal} to {pids:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
