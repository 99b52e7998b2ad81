//! `confab`: the hub and its command line.

use confab_hub::cli::{self, Command, Exit, Screen};
use mimalloc::MiMalloc;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Two crypto libraries could be chosen by what is linked; this one is ours.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return Exit::Failed.into(); // somebody else did: there is nobody else before main
    }
    let (settings, command) = cli::parse();
    if let Command::Run(run) = &command {
        return cli::run::run(&settings, run).into();
    }
    let done = Screen::of_process(|screen| match &command {
        Command::Run(_) => Ok(Exit::Done),
        Command::Config(command) => cli::config_commands::run(&settings, command, screen),
        Command::Chain(command) => cli::chain::run(&settings, command, screen),
        Command::Plugin(command) => cli::plugin::run(&settings, command, screen),
        Command::Token(command) => cli::token::run(&settings, command, screen),
        Command::Migrate(migrate) => cli::migrate::run(&settings, migrate, screen),
        Command::Backup(backup) => cli::backup::backup(&settings, backup, screen),
        Command::Restore(restore) => cli::backup::restore(&settings, restore, screen),
        Command::DeadLetters(command) => cli::dead_letters::run(&settings, command, screen),
        Command::Lost(command) => cli::lost::run(&settings, command, screen),
        Command::Held(command) => cli::moderate::held(&settings, command, screen),
        Command::Flag(command) => cli::moderate::flag(&settings, command, screen),
        Command::Mute(command) => cli::moderate::mute(&settings, command, screen),
        Command::Ban(command) => cli::moderate::ban(&settings, command, screen),
        Command::Room(command) => cli::members::room(&settings, command, screen),
        Command::Member(command) => cli::members::member(&settings, command, screen),
        Command::Disconnect(disconnect) => cli::moderate::disconnect(&settings, disconnect, screen),
        Command::Audit(audit) => cli::audit::audit(&settings, audit, screen),
        Command::AdminToken(command) => cli::admin_token::admin_token(&settings, command, screen),
        Command::Reload(reload) => cli::reload::run(&settings, reload, screen),
        Command::Send(send) => cli::remote::send(&settings, send, screen),
        Command::History(history) => cli::remote::history(&settings, history, screen),
    });
    match done {
        Ok(exit) => exit.unwrap_or(Exit::Done).into(),
        Err(_) => Exit::Failed.into(), // the terminal is gone: nobody can be told
    }
}
