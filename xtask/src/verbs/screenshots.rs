//! `cargo xtask screenshots`: the pictures of the web client in the docs, taken from a hub that starts for them.

use super::{plugins, web};
use crate::cargo;
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use xtask::progress::{Progress, say};
use xtask::services::{Life, Process, port::Port, process::Scratch};
use xtask::{install, workspace};

/// Signs the tokens of the people in the pictures.
const SECRET: &str = "a secret for pictures, nothing else";
/// How long the hub may take to start.
const START: Duration = Duration::from_secs(60);

/// Takes them.
pub fn screenshots() -> Result<()> {
    install::for_embedded()?;
    plugins::build()?;
    web::build()?;
    let browser = install::browser()?;
    let program = cargo::build(&["confab"], false)?.join("confab");
    let scratch = Scratch::new("screenshots")?;
    let (listen, admin) = (Port::free()?, Port::free()?);
    let address = format!("127.0.0.1:{}", listen.number());
    let settings = scratch.path().join("hub.toml");
    fs::write(&settings, hub(&address, admin.number(), scratch.path())).context("could not write hub.toml")?;
    let log = scratch.path().join("log");
    let mut command = Command::new(program);
    command.args(["run", "--config"]).arg(&settings);
    let mut hub = Process::spawn(command, &log, Life::WithUs)?;
    listens(&address, &log)?;
    let folder = workspace::root().join("docs/images");
    let progress = Progress::start("screenshots");
    let mut script = Command::new("node");
    script.arg(workspace::root().join("web/tests/screenshots.mjs")).env("CHROMIUM", browser);
    script.arg(format!("ws://{address}/connection/websocket")).args(["--secret", SECRET, "--into"]).arg(&folder);
    progress.run(&mut script)?;
    progress.done(&format!("in {}", folder.display()));
    hub.kill().map(drop)?;
    say("look at each of them before you commit it");
    Ok(())
}

fn hub(address: &str, admin: u16, folder: &Path) -> String {
    let plugins = workspace::root().join("plugins");
    let filter = |name: &str, word: &str, action: &str| {
        let module = plugins.join("word-filter.wasm");
        format!(
            "[plugin.{name}]\nmodule = \"{}\"\n[plugin.{name}.settings]\nwords = [\"{word}\"]\naction = \"{action}\"\n",
            module.display()
        )
    };
    format!(
        "listen = \"{address}\"\nadmin = \"127.0.0.1:{admin}\"\ndata = \"{}\"\n\
         [auth]\ninsecure = true\nhmac_secret = \"{SECRET}\"\n\
         [[room]]\nmatch = [\"**\"]\npresence = true\njoin_leave = \"asked\"\n{}{}\
         [[chain]]\nrooms = [\"**\"]\nplugins = [\"no-spam\", \"no-lottery\"]\n",
        folder.join("data").display(),
        filter("no-spam", "spam", "reject"),
        filter("no-lottery", "lottery", "hold"),
    )
}

fn listens(address: &str, log: &Path) -> Result<()> {
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        if begun.elapsed() > START {
            bail!("the hub does not listen; it said:\n{}", fs::read_to_string(log).unwrap_or_default());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
