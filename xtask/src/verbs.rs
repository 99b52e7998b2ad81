//! What each verb does.

mod arrows;
mod bench;
mod chaos;
mod check;
mod cluster;
mod floors;
mod fuzz;
mod plugins;
mod run;
mod screenshots;
mod test;
mod types;
mod up;
mod web;

use crate::cli::Verb;
use anyhow::Result;
use std::process::ExitCode;

/// Does it.
pub fn run(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Run(arguments) => run::run(&arguments).map(done),
        Verb::Test(arguments) => test::test(&arguments),
        Verb::Check => check::check().map(done),
        Verb::Up(arguments) => up::up(&arguments).map(done),
        Verb::Down(arguments) => up::down(&arguments).map(done),
        Verb::Status => up::status().map(done),
        Verb::Fuzz(arguments) => fuzz::fuzz(&arguments),
        Verb::Bench(arguments) => bench::bench(&arguments).map(done),
        Verb::Chaos(arguments) => chaos::chaos(&arguments).map(done),
        Verb::Plugins => plugins::build().map(done),
        Verb::Types => types::types().map(done),
        Verb::Screenshots => screenshots::screenshots().map(done),
        Verb::Web => web::build().map(done),
    }
}

fn done<T>(_: T) -> ExitCode {
    ExitCode::SUCCESS
}
