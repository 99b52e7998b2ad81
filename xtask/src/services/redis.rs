//! Redis: nothing is kept on disk unless the arguments say so.

use super::port::Port;
use super::process::{Life, Signal};
use super::server::Program;
use crate::workspace;
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long an answer may take while we wait for it to serve.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);

/// What the caller may choose.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// More arguments of `redis-server`, such as `["--appendonly", "yes"]`; they win over ours.
    pub args: Vec<String>,
    /// The port; `None` takes a free one.
    pub port: Option<u16>,
    /// Whether it goes on after us.
    pub life: Life,
}

/// What is special about Redis.
#[derive(Debug)]
pub struct Instance {
    port: Port,
    data: PathBuf,
    args: Vec<String>,
}

impl Program for Instance {
    type Options = Options;
    const NAME: &'static str = "Redis";
    const STOP: Signal = Signal::Term;

    fn new(folder: &Path, options: &Options) -> Result<Self> {
        let port = options.port.map_or_else(Port::free, |port| Ok(Port::fixed(port)))?;
        Ok(Self { port, data: folder.join("data"), args: options.args.clone() })
    }

    fn life(options: &Options) -> Life {
        options.life
    }

    fn command(&self) -> Result<Command> {
        std::fs::create_dir_all(&self.data)?;
        let program = workspace::on_path("redis-server").context("there is no `redis-server` on PATH")?;
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]);
        command.args(["--port", &self.port.number().to_string()]).arg("--dir").arg(&self.data).args(&self.args);
        Ok(command)
    }

    fn serves(&self, pid: u32) -> bool {
        let Ok(said) = ask(self.port(), "INFO server persistence\r\n") else { return false };
        // The pid tells our Redis from a stranger's that took the port first; one that still reads its data back refuses commands.
        // One that wants a password says neither.
        let ours = said.contains(&format!("process_id:{pid}\r")) && said.contains("loading:0\r");
        ours || said.starts_with("-NOAUTH")
    }

    fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    fn port(&self) -> u16 {
        self.port.number()
    }

    fn may_move(&self) -> bool {
        !self.port.is_fixed()
    }

    fn data(&self) -> PathBuf {
        self.data.clone()
    }
}

/// Sends one inline command and returns what arrives first.
fn ask(port: u16, command: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.write_all(command.as_bytes())?;
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}
