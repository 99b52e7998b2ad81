//! `cargo xtask run`: one embedded hub in the foreground.

use super::plugins;
use crate::{cargo, cli};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::Command;
use xtask::progress::say;
use xtask::{install, workspace};

/// Builds what is needed, says what to try, and becomes the hub. Returns only if that fails.
pub fn run(arguments: &cli::Run) -> Result<()> {
    install::for_embedded()?;
    plugins::build()?;
    let programs = cargo::build(&["confab-hub"], arguments.release)?;
    let hub = Settings::read()?;
    let mut command = Command::new(programs.join("confab"));
    command.args(["run", "--config", "hub.toml"]).current_dir(workspace::root());
    if hub.lets_nobody_in && hub.listen.ip().is_loopback() {
        command.env("CONFAB_AUTH__INSECURE", "true");
    }
    say(&hub.greeting(&programs.join("confab").display().to_string()));
    Err(command.exec()).context("could not start the hub")
}

/// What of hub.toml matters for the first steps.
struct Settings {
    listen: SocketAddr,
    /// Neither a secret nor insecure mode is set, so no client could connect.
    lets_nobody_in: bool,
    insecure: bool,
}

impl Settings {
    fn read() -> Result<Self> {
        let path = workspace::root().join("hub.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        let table: toml::Table = text.parse().with_context(|| format!("{} is not TOML", path.display()))?;
        let auth = table.get("auth").and_then(toml::Value::as_table);
        let insecure = auth.and_then(|auth| auth.get("insecure")).and_then(toml::Value::as_bool).unwrap_or(false);
        let secret = auth.is_some_and(|auth| auth.keys().any(|key| key.starts_with("hmac_secret")))
            || std::env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with("CONFAB_AUTH__"));
        let listen = table.get("listen").and_then(toml::Value::as_str).unwrap_or("127.0.0.1:8000");
        let listen = listen.parse().with_context(|| format!("`listen = \"{listen}\"` is not an address"))?;
        Ok(Self { listen, lets_nobody_in: !secret && !insecure, insecure })
    }

    fn greeting(&self, confab: &str) -> String {
        let (listen, url) = (self.listen, format!("ws://{}/connection/websocket", self.listen));
        let who = match self.insecure || (self.lets_nobody_in && self.listen.ip().is_loopback()) {
            true => "  who you are     whoever you say: development mode, for this machine only".to_owned(),
            false => format!("  a token         {confab} token create ada"),
        };
        format!(
            "
  the page        http://{listen}/
{who}
  a first message node clients/node/first-message.mjs --url {url} --user ada
  the end         Ctrl-C: the hub finishes what it holds, then exits
"
        )
    }
}
