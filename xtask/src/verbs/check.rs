//! `cargo xtask check`: what can be said about the code without running it.

use super::{arrows, floors, types};
use crate::cargo::{self, cargo};
use anyhow::{Context, Result, bail};
use std::process::Command;
use std::time::Instant;
use toml::Value;
use xtask::progress::{say, seconds};
use xtask::workspace;

/// A file longer than this is asked whether it is two.
const LINES_MAX: usize = 500;

type Stage = fn() -> Result<()>;

/// All checks, the quick ones first. Every one runs, so that one call shows all there is to mend.
pub fn check() -> Result<()> {
    let stages: [(&str, Stage); 9] = [
        ("format", format),
        ("arrows between crates", arrows::check),
        ("arrows inside the hub", floors::check),
        ("versions stand once", versions_stand_once),
        ("types of the clients", types::check),
        ("length of files", long_files),
        ("lints", lints),
        ("docs", docs),
        ("licences and advisories", deny),
    ];
    let mut failed = Vec::new();
    for (name, stage) in stages {
        let start = Instant::now();
        match stage() {
            Ok(()) => say(&format!("✓ {name} ({})", seconds(start.elapsed()))),
            Err(error) => {
                say(&format!("✗ {name}: {error:#}"));
                failed.push(name);
            }
        }
    }
    if !failed.is_empty() {
        bail!("to mend: {}", failed.join(", "));
    }
    Ok(())
}

fn format() -> Result<()> {
    cargo::run(cargo().args(["fmt", "--all", "--check"]))
}

fn lints() -> Result<()> {
    cargo::run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn docs() -> Result<()> {
    let mut command = cargo();
    command.args(["doc", "--workspace", "--no-deps", "--document-private-items"]);
    cargo::run(command.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links"))
}

/// Compiling cargo-deny takes longer than all other checks, so it is used where somebody installed it.
fn deny() -> Result<()> {
    let installed = Command::new("cargo-deny").arg("--version").output().is_ok_and(|output| output.status.success());
    if !installed {
        say(
            "· cargo-deny is not installed: licences and advisories were not looked at (`cargo install cargo-deny --locked`)",
        );
        return Ok(());
    }
    cargo::run(cargo().args(["deny", "check"]))
}

/// A version is written in the workspace's Cargo.toml; the crates only say `workspace = true`.
fn versions_stand_once() -> Result<()> {
    let mut elsewhere = Vec::new();
    for package in arrows::packages()? {
        let path = package["manifest_path"].as_str().context("a package has no manifest")?.to_owned();
        let manifest: toml::Table = std::fs::read_to_string(&path)?.parse()?;
        let targets = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
        let places = std::iter::once(&manifest).chain(targets.filter_map(|(_, target)| target.as_table()));
        for (name, dependency) in places.flat_map(dependencies) {
            if dependency.get("workspace").and_then(Value::as_bool) != Some(true) {
                elsewhere.push(format!("{name} in {path}"));
            }
        }
    }
    if !elsewhere.is_empty() {
        bail!("write `{{name}}.workspace = true` for {}", elsewhere.join(", "));
    }
    Ok(())
}

fn dependencies(place: &toml::Table) -> impl Iterator<Item = (&String, &Value)> {
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    kinds.into_iter().filter_map(|kind| place.get(kind)?.as_table()).flatten()
}

/// Only a warning: length alone is no fault, but it is worth a thought.
fn long_files() -> Result<()> {
    let mut list = Command::new("git");
    list.args(["ls-files", "*.rs", "*.ts", "*.tsx", "*.mjs", "*.py", "*.lua", "*.sql"]).current_dir(workspace::root());
    for file in cargo::output_of(&mut list)?.lines() {
        // A file may be listed and just have been deleted.
        let Ok(text) = std::fs::read_to_string(workspace::root().join(file)) else { continue };
        let lines = text.lines().count();
        if lines > LINES_MAX {
            say(&format!("· {file} has {lines} lines: is it more than one noun?"));
        }
    }
    Ok(())
}
