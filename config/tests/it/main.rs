//! The settings through the front door: files, variables and flags in, settings or messages out.

mod anything;
mod messages;
mod overriding;
mod reference;
mod rooms;
mod showing;

use confab_config::{Diagnostics, Loaded};
use std::path::Path;

/// Loads a hub.toml with this text.
fn load(text: &str) -> Result<Loaded, Diagnostics> {
    load_with(text, &[], &[])
}

/// Loads a hub.toml with this text, these variables and these flags.
fn load_with(text: &str, env: &[(&str, &str)], flags: &[&str]) -> Result<Loaded, Diagnostics> {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let file = folder.path().join("hub.toml");
    std::fs::write(&file, text).expect("the folder can be written to");
    load_file(&file, env, flags)
}

fn load_file(file: &Path, env: &[(&str, &str)], flags: &[&str]) -> Result<Loaded, Diagnostics> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let flags = flags.iter().map(|flag| confab_config::assignment(flag).expect("a flag")).collect();
    confab_config::load(Some(file), env, flags)
}

/// The one error that loading this gives, as a person reads it.
fn refusal(text: &str, env: &[(&str, &str)], flags: &[&str]) -> String {
    load_with(text, env, flags).expect_err("it should be refused").to_string()
}
