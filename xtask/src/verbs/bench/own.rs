//! A hub of ours whose hub.toml is another now and then.

use super::report::report_of;
use super::serving::{self, Programs, SECRET, SERVER, UNLIMITED};
use crate::verbs::up;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::services::port::Port;
use xtask::services::{Life, Process};

/// A running hub.
pub struct Own {
    /// Where clients connect.
    pub address: String,
    /// What connections say that they are.
    pub token: String,
    program: PathBuf,
    config: PathBuf,
    /// What its hub.toml begins with.
    head: String,
    process: Process,
    _ports: [Port; 2],
}

impl Own {
    /// Starts one in an empty folder, with these lines at the end of its hub.toml, on the servers' processor unless it
    /// may have all of them.
    pub fn start(programs: &Programs, folder: &Path, more: &str, alone: bool) -> Result<Self> {
        let ports = [Port::free()?, Port::free()?];
        let [address, admin] = [&ports[0], &ports[1]].map(|port| format!("127.0.0.1:{}", port.number()));
        let (data, cache, config) = (folder.join("data"), folder.join("compiled"), folder.join("hub.toml"));
        let head = format!(
            "listen = \"{address}\"\nadmin = \"{admin}\"\ndata = {data:?}\nplugin_cache = {cache:?}\n\
             {UNLIMITED}[auth]\nhmac_secret = \"{SECRET}\"\n"
        );
        std::fs::write(&config, format!("{head}{more}"))?;
        let mut command = serving::pinned(&programs.confab, SERVER, programs.pins && alone);
        serving::alone(&mut command).env("CONFAB_LOG", "error").args(["run", "--config"]).arg(&config);
        let log = folder.join("log");
        let mut process = Process::spawn(command, &log, Life::WithUs)?;
        serving::wait_until(&mut process, &log, || up::is_ready(&admin))?;
        let (token, program) = (serving::token(programs, &config)?, programs.confab.clone());
        Ok(Self { address, token, program, config, head, process, _ports: ports })
    }

    /// Gives its hub.toml another end.
    pub fn rewrite(&self, more: &str) -> Result<()> {
        let beside = self.config.with_extension("new");
        std::fs::write(&beside, format!("{}{more}", self.head))?;
        Ok(std::fs::rename(beside, &self.config)?)
    }

    /// What one of its verbs answers, in JSON.
    pub fn ask(&self, verb: &[&str]) -> Result<Value> {
        let mut command = Command::new(&self.program);
        serving::alone(&mut command).args(verb).arg("--json").arg("--config").arg(&self.config);
        report_of(&mut command).with_context(|| format!("`confab {}` failed", verb.join(" ")))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}
