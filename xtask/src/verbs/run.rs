//! `cargo xtask run`: one embedded hub in the foreground.

use super::{plugins, web};
use crate::{cargo, cli};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use xtask::progress::say;
use xtask::{install, workspace};

/// Builds what is needed, says what to try, and becomes the hub. Returns only if that fails.
pub fn run(arguments: &cli::Run) -> Result<()> {
    install::for_embedded()?;
    plugins::build()?;
    web::build_if_possible()?;
    let programs = cargo::build(&["confab"], arguments.release)?;
    let program = programs.join("confab");
    let hub = Settings::read()?;
    let mut command = Command::new(&program);
    command.args(["run", "--config", "hub.toml"]).current_dir(workspace::root());
    say(&hub.greeting(&program));
    Err(command.exec()).context("could not start the hub")
}

/// What of hub.toml matters for the first steps.
struct Settings {
    listen: SocketAddr,
    insecure: bool,
}

impl Settings {
    fn read() -> Result<Self> {
        let path = workspace::root().join("hub.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        let table: toml::Table = text.parse().with_context(|| format!("{} is not TOML", path.display()))?;
        let listen = table.get("listen").and_then(toml::Value::as_str).unwrap_or("127.0.0.1:8000");
        let listen = listen.parse().with_context(|| format!("`listen = \"{listen}\"` is not an address"))?;
        let insecure = table.get("auth").and_then(|auth| auth.get("insecure")?.as_bool()).unwrap_or(false);
        Ok(Self { listen, insecure })
    }

    fn greeting(&self, confab: &Path) -> String {
        let (listen, confab) = (self.listen, confab.display());
        let url = format!("ws://{listen}/connection/websocket");
        let (who, flag) = match self.insecure {
            true => ("whoever you say: `insecure = true` in hub.toml, for this machine only".to_owned(), "--user ada"),
            false => (format!("{confab} token create ada"), "--token …"),
        };
        format!(
            "
  the page         http://{listen}/
  who you are      {who}
  a first message  node clients/node/first-message.mjs {url} {flag}
  the end          Ctrl-C: the hub finishes what it holds, then exits
"
        )
    }
}
