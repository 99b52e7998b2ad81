//! Cargo, called from within cargo.

use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;
use xtask::{progress, workspace};

/// The cargo that started us.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace::root());
    command
}

/// Runs a command whose output people want to see.
pub fn run(command: &mut Command) -> Result<()> {
    progress::say(&format!("$ {}", progress::shown(command)));
    let status = command.status().with_context(|| format!("could not start `{}`", progress::shown(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", progress::shown(command));
    }
    Ok(())
}

/// What a command prints. Its stderr goes where ours goes.
pub fn output_of(command: &mut Command) -> Result<String> {
    let shown = progress::shown(command);
    let output = command.stderr(std::process::Stdio::inherit()).output();
    let output = output.with_context(|| format!("could not start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` ended with {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` did not print text"))
}

/// What cargo knows of the workspace's own crates.
pub fn metadata() -> Result<serde_json::Value> {
    let text = output_of(cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
    serde_json::from_str(&text).context("cargo's metadata is not JSON")
}

/// These programs, built. They lie in one folder, which is returned.
///
/// With the features of the whole workspace, as the tests are built: otherwise half of the dependencies would be
/// compiled again, for a feature more or less.
pub fn build(programs: &[&str], release: bool) -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--workspace"]).args(programs.iter().flat_map(|program| ["--bin", program]));
    if release {
        command.arg("--release");
    }
    run(&mut command)?;
    Ok(target_folder()?.join(if release { "release" } else { "debug" }))
}

/// Where cargo puts what it builds.
pub fn target_folder() -> Result<PathBuf> {
    let metadata = metadata()?;
    Ok(metadata["target_directory"].as_str().context("cargo names no target folder")?.into())
}
