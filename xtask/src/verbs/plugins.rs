//! `cargo xtask plugins`: from crates to components.

use crate::cargo;
use anyhow::Result;
use std::path::{Path, PathBuf};
use xtask::progress::Progress;
use xtask::wasm::{self, FIXTURES, PLUGINS};
use xtask::workspace;

/// Builds those that people use into `plugins/`, where hub.toml looks for them.
pub fn build() -> Result<()> {
    build_into(&workspace::root().join("plugins"), PLUGINS)
}

/// Builds those and the ones that misbehave for tests, apart from the others; returns their folder.
pub fn build_for_tests() -> Result<PathBuf> {
    let folder = cargo::target_folder()?.join("test-plugins");
    build_into(&folder, &[PLUGINS, FIXTURES].concat())?;
    Ok(folder)
}

fn build_into(folder: &Path, names: &[&str]) -> Result<()> {
    let progress = Progress::start(format!("plugins {}", names.join(", ")));
    let components = wasm::build(names, folder)?;
    progress.done(&format!("{} components in {}", components.len(), folder.display()));
    Ok(())
}
