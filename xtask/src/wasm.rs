//! Building plugins: from a folder of this repository to a component that the hub loads.

use crate::progress::shown;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The plugins of this repository that people use.
pub const PLUGINS: &[&str] = &[
    "word-filter",
    "link-notes",
    "flood-guard",
    "secrets-guard",
    "caps-and-noise",
    "language-tag",
    "link-preview",
    "commands",
    "markdown-safe",
];

/// The same filter in the other languages that have a toolchain.
pub const SCRIPTS: &[&str] = &["word-filter-js", "word-filter-py"];

/// The plugins that only tests use.
pub const FIXTURES: &[&str] = &["misbehave", "reach", "asks"];

/// Builds each of these plugins of the repository into `<out>/<name>.wasm` and returns the files. What has not changed is
/// not built again.
///
/// Where the active toolchain lacks the target, `scripts/wasm-target.sh` asks rustup for it, and where rustup's server
/// cannot be reached it makes a compiler from Debian's packages; the environment variable `CONFAB_WASM=debian` forces that.
///
/// # Errors
/// That a plugin does not compile, or that there is no compiler for it; the reason was printed.
pub fn build(names: &[&str], out: &Path) -> Result<Vec<PathBuf>> {
    build_with("find", names, out)
}

/// Builds them with the compiler that the script makes from Debian's packages, even where the toolchain has the target.
///
/// # Errors
/// As [`build`].
pub fn build_by_script(names: &[&str], out: &Path) -> Result<Vec<PathBuf>> {
    build_with("script", names, out)
}

/// A program of its own does the work: it is built with the features of the whole workspace, so that nothing is compiled
/// twice, and xtask does not wait for it when it has something else to do.
fn build_with(way: &str, names: &[&str], out: &Path) -> Result<Vec<PathBuf>> {
    let target = target_dir()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(root()).args(["build", "--workspace", "--bin", "build-plugins"]);
    run(&mut build)?;
    let mut command = Command::new(target.join("debug/build-plugins"));
    command.current_dir(root()).arg(&target).arg(out).arg(way).args(names.iter().map(|name| folder(name)));
    run(&mut command)?;
    Ok(names.iter().map(|name| out.join(format!("{name}.wasm"))).collect())
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("could not start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// Where a plugin of this repository lies.
pub fn folder(name: &str) -> PathBuf {
    let plugins = root().join("plugins");
    let fixture = plugins.join("fixtures").join(name);
    if fixture.is_dir() { fixture } else { plugins.join(name) }
}

fn target_dir() -> Result<PathBuf> {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    std::path::absolute(&folder).with_context(|| format!("{} is no folder", folder.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}
