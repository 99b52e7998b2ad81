//! `cargo xtask`: every verb a contributor needs.

mod cargo;
mod cli;
mod verbs;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match verbs::run(cli::Arguments::parse().verb) {
        Ok(code) => code,
        Err(error) => {
            xtask::progress::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
