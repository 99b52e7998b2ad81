//! Our own programs as processes: started with a hub.toml of the test's, watched by what they serve, ended by pid.

use crate::eventually;
use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use xtask::services::port::Port;
use xtask::services::{Life, Process, Signal};

/// One of our programs: in the folder that `CONFAB_TEST_PROGRAMS` names, or where cargo puts them: programs run from there,
/// tests from its `deps`.
pub fn program(name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os("CONFAB_TEST_PROGRAMS") {
        return PathBuf::from(folder).join(name);
    }
    let running = std::env::current_exe().expect("a running program has a path");
    let folder = running.parent().expect("a program lies in a folder");
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    folder.join(name)
}

/// How many lines of a program's log are shown where a test fails.
const LAST_LINES: usize = 40;

/// A hub or a consumer of a test.
pub struct Running {
    name: String,
    config: PathBuf,
    log: PathBuf,
    binary: &'static str,
    environment: Vec<(String, String)>,
    within: Vec<String>,
    process: Option<Process>,
    /// The token of its admin API, once it was found: also while its settings cannot be read.
    token: Mutex<Option<String>>,
    /// Where clients connect.
    pub listen: String,
    /// Where its metrics are.
    pub admin: String,
    _ports: [Port; 2],
}

impl Running {
    /// A program with ports of its own; `config` writes its hub.toml, given the two addresses.
    pub fn new(
        folder: &Path,
        name: &str,
        binary: &'static str,
        config: impl FnOnce(&str, &str) -> String,
    ) -> Result<Self> {
        let ports = [Port::free()?, Port::free()?];
        let [listen, admin] = [&ports[0], &ports[1]].map(|port| format!("127.0.0.1:{}", port.number()));
        let path = folder.join(format!("{name}.toml"));
        std::fs::write(&path, config(&listen, &admin))?;
        let log = folder.join(format!("{name}.log"));
        let name = name.to_owned();
        Ok(Self {
            name,
            config: path,
            log,
            binary,
            environment: Vec::new(),
            within: Vec::new(),
            process: None,
            token: Mutex::default(),
            listen,
            admin,
            _ports: ports,
        })
    }

    /// Sets a variable for the next start.
    pub fn set(&mut self, variable: &str, value: &str) {
        self.environment.push((variable.to_owned(), value.to_owned()));
    }

    /// Forgets the variables that were set.
    pub fn unset_all(&mut self) {
        self.environment.clear();
    }

    /// Starts it from now on through another command, which must become it, such as `nsenter`.
    pub fn within(&mut self, command: Vec<String>) {
        self.within = command;
    }

    /// Runs one of the program's own verbs to its end and gives what it printed.
    pub fn verb(&self, arguments: &[&str]) -> Result<(ExitStatus, String, String)> {
        let output = self.command().args(arguments).arg("--config").arg(&self.config).output()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((output.status, text(output.stdout), text(output.stderr)))
    }

    /// Its hub.toml.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Takes another file for its hub.toml.
    pub fn read(&mut self, config: &Path) {
        config.clone_into(&mut self.config);
    }

    fn command(&self) -> Command {
        let Some((first, rest)) = self.within.split_first() else { return self.plain(program(self.binary)) };
        let mut command = self.plain(first);
        command.args(rest).arg(program(self.binary));
        command
    }

    /// A command in the surroundings of this program: with the variables that were set for it, and no setting of ours.
    pub fn plain(&self, command: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(command);
        // A hub of a test reads its own file and nothing else.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CONFAB_")) {
            command.env_remove(name);
        }
        command.env("CONFAB_LOG", "info").envs(self.environment.iter().map(|(k, v)| (k, v)));
        command
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&mut self) -> Result<()> {
        self.launch()?;
        self.ready().await
    }

    /// Starts it and does not wait.
    pub fn launch(&mut self) -> Result<()> {
        let mut command = self.command();
        command.arg("--config").arg(&self.config);
        self.process = Some(Process::spawn(command, &self.log, Life::WithUs)?);
        Ok(())
    }

    /// Waits until it is ready.
    pub async fn ready(&mut self) -> Result<()> {
        let url = format!("http://{}/readyz", self.admin);
        let begun = std::time::Instant::now();
        while begun.elapsed() < crate::PATIENCE {
            if matches!(get(&url).await, Ok((200, _))) {
                self.admin_api(); // finds its token while its settings can be read
                return Ok(());
            }
            if let Some(status) = self.process.as_mut().context("not started")?.exited()? {
                anyhow::bail!("{} ended with {status}:\n{}", self.name, self.said());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("{} did not get ready:\n{}", self.name, self.said())
    }

    /// What it has logged.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to end (SIGTERM) and waits; gives how it ended.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.process.take().context("not started")?.end(Signal::Term, Duration::from_secs(40))
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.process.take().context("not started")?.kill()
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("it was started");
        eventually("the process ends", async || process.exited().expect("its state can be asked")).await
    }

    /// Stops it in its tracks (SIGSTOP), or lets it go on.
    pub fn pause(&self, paused: bool) -> Result<()> {
        let signal = if paused { Signal::Stop } else { Signal::Continue };
        self.signal(signal)
    }

    /// Asks it to end (SIGTERM); [`Self::ended`] waits.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::Term)
    }

    /// Sends it SIGHUP.
    pub fn hang_up(&self) -> Result<()> {
        self.signal(Signal::Hangup)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.process.as_ref().context("not started")?.signal(signal)
    }

    /// Writes another hub.toml in place of the one it has; `change` is given the old text.
    pub fn rewrite(&self, change: impl FnOnce(&str) -> String) -> Result<()> {
        let text = change(&std::fs::read_to_string(&self.config)?);
        // As an editor does it: whoever reads meanwhile reads all of one or all of the other.
        let beside = self.config.with_extension("new");
        std::fs::write(&beside, text)?;
        Ok(std::fs::rename(beside, &self.config)?)
    }

    /// Its admin port, with the token that it made itself where it has made one.
    pub fn admin_api(&self) -> Admin {
        let environment = self.environment.iter().cloned();
        let access = confab_config::admin_access(Some(&self.config), environment, Vec::new(), true);
        let found = access.ok().and_then(|access| access.token.ok()).map(|token| token.expose().to_owned());
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if found.is_some() {
            *token = found;
        }
        Admin { address: self.admin.clone(), token: token.clone() }
    }

    /// Its process id.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// The value of a metric, `name` with its labels as it is exposed; 0 where it has not been counted yet.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let (_, text) = self.admin_api().get("/metrics").await?;
        let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
        Ok(line.and_then(|line| line.rsplit(' ').next()).map_or(Ok(0.0), str::parse)?)
    }
}

/// The admin port of one of our programs.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where it is.
    pub address: String,
    /// The token to bring.
    pub token: Option<String>,
}

impl Admin {
    /// Fetches what stands at a path: status and text.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        exchange(self.request("GET", path).body(Full::default())?, Duration::from_secs(5)).await
    }

    /// Posts JSON to a path and reads the answer as JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let request = self.request("POST", path).header("content-type", "application/json");
        let (status, text) = exchange(request.body(body.to_string().into())?, crate::PATIENCE).await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// A request with the token.
    pub fn request(&self, method: &str, path: &str) -> hyper::http::request::Builder {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }
}

/// Fetches a page: status and text.
pub async fn get(url: &str) -> Result<(u16, String)> {
    exchange(Request::get(url).body(Full::default())?, Duration::from_secs(5)).await
}

/// Sends a request and reads the answer: status and text.
pub async fn exchange(request: Request<Full<Bytes>>, patience: Duration) -> Result<(u16, String)> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = tokio::time::timeout(patience, client.request(request)).await;
    let response = answer.with_context(|| format!("no answer in {patience:?}"))??;
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&bytes).into_owned()))
}

/// A test that fails shows what the program said last: its log goes with the test's folder.
impl Drop for Running {
    #[expect(clippy::print_stderr, reason = "it is for whoever reads why the test failed")]
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        eprintln!("--- the last lines of {}:", self.log.display());
        for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
            eprintln!("{line}");
        }
    }
}
