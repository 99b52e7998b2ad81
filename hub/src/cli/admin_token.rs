//! `confab admin-token`: the file of operators' tokens on this machine. A running hub takes in what changes at once.

use super::{Exit, Screen, SettingsArgs};
use clap::Subcommand;
use confab_config::Config;
use confab_config::admin_tokens::{self, AdminTokens, Error};
use serde_json::json;
use std::io;

/// Make, list and revoke operators' tokens.
#[derive(Clone, Debug, Subcommand)]
pub enum AdminTokenCommand {
    /// Make a token for an operator and print it. The file keeps its hash only: it is not shown again.
    Create {
        /// Whose it is: so the audit log names them.
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List whose tokens there are.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take all tokens of an operator out of the file: whoever brings one is refused from then on.
    Revoke {
        /// Whose.
        name: String,
    },
}

/// `confab admin-token …`.
pub fn admin_token(settings: &SettingsArgs, command: &AdminTokenCommand, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let config = match settings.load(Vec::new()) {
        Ok(loaded) => loaded.config,
        Err(errors) => {
            screen.findings(&errors)?;
            return Ok(Exit::Configuration);
        }
    };
    if config.admin_token.is_some() {
        writeln!(
            screen.err,
            "error: the settings give the one token, `admin_token`: name a file in `admin_token_file`"
        )?;
        return Ok(Exit::Configuration);
    }
    match done(&config, command, screen)? {
        Ok(exit) => Ok(exit),
        Err(error) => {
            writeln!(screen.err, "error: {}", super::run::causes(&error))?;
            Ok(Exit::Failed)
        }
    }
}

fn done(config: &Config, command: &AdminTokenCommand, screen: &mut Screen<'_>) -> io::Result<Result<Exit, Error>> {
    let path = config.admin_tokens_path();
    match command {
        AdminTokenCommand::Create { name, json } => match admin_tokens::add(&path, name) {
            Ok(token) if *json => {
                screen.json(&json!({ "name": name, "token": token.expose(), "file": path }))?;
            }
            Ok(token) => {
                writeln!(screen.out, "{}", token.expose())?;
                writeln!(screen.err, "for {name}, in {}: give it to them, it is not shown again", path.display())?;
            }
            Err(error) => return Ok(Err(error)),
        },
        AdminTokenCommand::List { json } => {
            let tokens = match AdminTokens::read(&path) {
                Ok(tokens) => tokens,
                Err(error) => return Ok(Err(error)),
            };
            if *json {
                let all = tokens.iter().map(|token| json!({ "name": token.name, "hashed": token.token.is_none() }));
                screen.json(&all.collect())?;
            } else {
                for token in tokens.iter() {
                    let kept = if token.token.is_some() { "token" } else { "hash" };
                    writeln!(screen.out, "{:<24} {kept}", token.name)?;
                }
            }
        }
        AdminTokenCommand::Revoke { name } => match admin_tokens::remove(&path, name) {
            Ok(0) => {
                writeln!(screen.err, "error: {} has no token of `{name}`", path.display())?;
                return Ok(Ok(Exit::Failed));
            }
            Ok(count) => writeln!(screen.out, "revoked {count} of {name}")?,
            Err(error) => return Ok(Err(error)),
        },
    }
    Ok(Ok(Exit::Done))
}
