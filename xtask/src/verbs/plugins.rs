//! `cargo xtask plugins`: from crates to components.

use crate::cargo;
use anyhow::Result;
use std::path::{Path, PathBuf};
use xtask::progress::Progress;
use xtask::wasm::{self, FIXTURES, PLUGINS, SCRIPTS};
use xtask::workspace;

/// Builds those that people use into `plugins/`, where hub.toml looks for them.
pub fn build() -> Result<()> {
    build_into(&workspace::root().join("plugins"), PLUGINS)
}

/// Builds those, the same filter in other languages, and the ones that misbehave for tests, apart from the others; returns
/// their folder. The other languages' tools are brought by the kit when they are first needed; a minute, once.
pub fn build_for_tests() -> Result<PathBuf> {
    let folder = cargo::target_folder()?.join("test-plugins");
    build_into(&folder, &[PLUGINS, SCRIPTS, FIXTURES].concat())?;
    Ok(folder)
}

/// Builds one with the compiler that is used where rustup has none for the target, so that the way round is walked
/// before somebody needs it; returns the folder. `None` where there is no such compiler: this is no Debian on x86_64.
pub fn build_the_other_way() -> Result<Option<PathBuf>> {
    if !cfg!(target_arch = "x86_64") || workspace::on_path("apt-get").is_none() {
        return Ok(None);
    }
    let folder = cargo::target_folder()?.join("test-plugins-debian");
    let progress = Progress::beside_output("a plugin by Debian's compiler");
    let components = wasm::build_by_script(&PLUGINS[..1], &folder)?;
    progress.done(&format!("{} component in {}", components.len(), folder.display()));
    Ok(Some(folder))
}

fn build_into(folder: &Path, names: &[&str]) -> Result<()> {
    let progress = Progress::beside_output(format!("plugins {}", names.join(", ")));
    let components = wasm::build(names, folder)?;
    progress.done(&format!("{} components in {}", components.len(), folder.display()));
    Ok(())
}
