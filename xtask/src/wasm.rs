//! Building plugins: from a folder of this repository to a component that the hub loads.

use anyhow::{Context, Result};
use confab_plugin_kit::build::{Builder, Rust};
use confab_plugin_kit::project::Project;
use std::path::{Path, PathBuf};

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
pub fn build(names: &[&str], out: &Path) -> Result<Vec<PathBuf>> {
    build_with(Builder::new(&crate::progress::say).target_dir(target_dir()?), names, out)
}

/// Builds them with the compiler that the script makes from Debian's packages, even where the toolchain has the target.
pub fn build_by_script(names: &[&str], out: &Path) -> Result<Vec<PathBuf>> {
    let rust = Rust::by_script(&target_dir()?)?;
    build_with(Builder::new(&crate::progress::say).with_rust(rust), names, out)
}

fn build_with(mut builder: Builder<'_>, names: &[&str], out: &Path) -> Result<Vec<PathBuf>> {
    let components = names.iter().map(|name| {
        let project = Project::open_plain(&folder(name))?;
        Ok(builder.build(&project, &out.join(format!("{name}.wasm")))?.file)
    });
    components.collect()
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
