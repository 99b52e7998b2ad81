//! `confab plugin …`: the author's loop. What a verb does stands in a file of its own.

mod add;
mod args;
mod bench;
mod build;
mod candidate;
mod dev;
mod effects;
mod events;
mod inspect;
mod lock;
mod new;
mod replay;
mod run;
mod test;
mod trial;

pub use args::PluginCommand;

use super::{Exit, Screen, SettingsArgs};
use confab_config::{Diagnostic, Diagnostics};
use std::io;

/// Why a verb ends without doing what was asked.
enum Failure {
    /// Something of the author's is wrong, or the machine lacks something.
    Found(Diagnostics, Exit),
    /// The terminal is gone.
    Screen(io::Error),
}

type Done = Result<Exit, Failure>;

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Screen(error)
    }
}

impl From<confab_plugin_kit::Error> for Failure {
    fn from(error: confab_plugin_kit::Error) -> Self {
        Self::Found(error.diagnostic().clone().into(), Exit::Failed)
    }
}

impl From<Diagnostic> for Failure {
    fn from(found: Diagnostic) -> Self {
        Self::Found(found.into(), Exit::Failed)
    }
}

/// Does it.
pub fn run(settings: &SettingsArgs, command: &PluginCommand, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let done = match command {
        PluginCommand::New(new) => new::run(new, screen),
        PluginCommand::Build(build) => build::run(build, screen),
        PluginCommand::Test(test) => test::run(test, screen),
        PluginCommand::Inspect(inspect) => inspect::run(inspect, screen),
        PluginCommand::Run(run) => run::run(settings, run, screen),
        PluginCommand::Bench(bench) => bench::run(settings, bench, screen),
        PluginCommand::Dev(dev) => dev::run(settings, dev, screen),
        PluginCommand::Replay(replay) => replay::run(settings, replay, screen),
        PluginCommand::Lock(lock) => lock::run(settings, lock, screen),
        PluginCommand::Add(add) => add::run(settings, add, screen),
    };
    match done {
        Ok(exit) => Ok(exit),
        Err(Failure::Screen(error)) => Err(error),
        Err(Failure::Found(found, exit)) => {
            screen.findings(&found)?;
            Ok(exit)
        }
    }
}

/// The settings, with their warnings told.
fn load(settings: &SettingsArgs, screen: &mut Screen<'_>) -> Result<confab_config::Loaded, Failure> {
    let loaded = settings.load(Vec::new()).map_err(|errors| Failure::Found(errors, Exit::Configuration))?;
    screen.findings(&Diagnostics(loaded.warnings.clone()))?;
    Ok(loaded)
}

/// Says what is being done, on standard error: what takes long takes it before there is an answer.
#[allow(clippy::print_stderr, reason = "progress is for the person at the terminal, beside the answer")]
fn say(text: &str) {
    eprintln!("… {text}");
}
