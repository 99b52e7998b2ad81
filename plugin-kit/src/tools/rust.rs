//! Rust: cargo, and a compiler that has the target.

use super::cache;
use crate::project::Project;
use crate::{Error, Result};
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What plugins are compiled for: no system interface at all.
const TARGET: &str = "wasm32-unknown-unknown";

/// Finds a compiler, and makes one where there is none.
const SCRIPT: &str = include_str!("../../../scripts/wasm-target.sh");

/// How plugins are built: small modules, and a panic is a trap. Their stack has 256 KiB instead of a mebibyte: where the memory is
/// put back after each call, the kernel looks at every page of it.
const SETTINGS: [&str; 6] = [
    "target.wasm32-unknown-unknown.rustflags=['-Clink-arg=-zstack-size=262144']",
    "profile.plugin.inherits='release'",
    "profile.plugin.lto=true",
    "profile.plugin.codegen-units=1",
    "profile.plugin.panic='abort'",
    "profile.plugin.strip='symbols'",
];

/// A compiler that has the target, and where its work goes.
#[derive(Clone, Debug)]
pub struct Rust {
    environment: Vec<(OsString, OsString)>,
    target_dir: PathBuf,
}

impl Rust {
    /// The active toolchain if it has the target. Else the script asks rustup for it, and where rustup's server cannot be
    /// reached it makes a compiler from Debian's packages; `CONFAB_WASM=debian` in the environment forces that.
    pub fn find(target_dir: &Path, say: &dyn Fn(&str)) -> Result<Self> {
        let forced = std::env::var_os("CONFAB_WASM").is_some_and(|way| way == "debian");
        if !forced && has_target()? {
            return Ok(Self { environment: Vec::new(), target_dir: absolute(target_dir)?.join("plugins") });
        }
        say("the toolchain lacks wasm32-unknown-unknown: looking for a way to get it");
        Self::script(target_dir, false)
    }

    /// The compiler that the script makes from Debian's packages, even where the toolchain has the target.
    pub fn by_script(target_dir: &Path) -> Result<Self> {
        Self::script(target_dir, true)
    }

    /// A compiler of its own needs a folder of its own: cargo does not notice that the standard library was rebuilt.
    fn script(target_dir: &Path, forced: bool) -> Result<Self> {
        let file = cache()?.join("wasm-target.sh");
        fs::create_dir_all(cache()?)
            .and_then(|()| fs::write(&file, SCRIPT))
            .map_err(|error| Error::file("write", &file, &error))?;
        let mut command = Command::new("bash");
        command.arg(&file).stdin(Stdio::null()).stderr(Stdio::inherit());
        if forced {
            command.env("CONFAB_WASM", "debian");
        }
        let output = command.output().map_err(|error| Error::file("run", &file, &error))?;
        if !output.status.success() {
            return Err(Error::new("there is no compiler for plugins here")
                .note("it said why above")
                .help(format!("type `rustup target add {TARGET}`, then try again")));
        }
        let environment = exports(&String::from_utf8_lossy(&output.stdout))?;
        Ok(Self { environment, target_dir: absolute(target_dir)?.join("plugins-debian") })
    }

    /// Compiles the plugin's crate and returns its core module. One at a time, so that no crate's features reach another's.
    pub(crate) fn compile(&self, project: &Project) -> Result<PathBuf> {
        let name = project.name();
        let manifest = project.root.join("Cargo.toml");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .current_dir(&project.root)
            .args(["build", "--lib", "--profile", "plugin", "--target", TARGET])
            .args(SETTINGS.iter().flat_map(|setting| ["--config", setting]))
            .args(["--message-format", "json-render-diagnostics", "--manifest-path"])
            .arg(absolute(&manifest)?)
            .arg("--target-dir")
            .arg(&self.target_dir)
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| {
                Error::new("could not start cargo").note(error.to_string()).help("install Rust, then try again")
            })?;
        if !output.status.success() {
            return Err(Error::new(format!("plugin {name} does not compile")).note("cargo said why above"));
        }
        artifact(&String::from_utf8_lossy(&output.stdout), &absolute(&manifest)?).ok_or_else(|| {
            Error::new(format!("plugin {name} compiles, but not to a component"))
                .help("add `[lib]` with `crate-type = [\"cdylib\", \"rlib\"]` to its Cargo.toml")
        })
    }
}

/// The module among what cargo says it has made of this crate.
fn artifact(said: &str, manifest: &Path) -> Option<PathBuf> {
    let messages = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours = messages.filter(|message| {
        let path = message["manifest_path"].as_str().map(Path::new);
        message["reason"] == "compiler-artifact" && path.is_some_and(|path| same(path, manifest))
    });
    let files = ours.flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default());
    files
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .find(|file| file.extension().is_some_and(|end| end == "wasm"))
}

fn same(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Whether the active toolchain has the target's standard library.
fn has_target() -> Result<bool> {
    let output = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    let output = output.map_err(|error| {
        Error::new("could not start rustc").note(error.to_string()).help("install Rust, then try again")
    })?;
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let Ok(files) = fs::read_dir(folder) else { return Ok(false) };
    Ok(files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libstd-")))
}

/// Reads the script's answer: lines of `export NAME='value'`.
fn exports(text: &str) -> Result<Vec<(OsString, OsString)>> {
    text.lines()
        .map(|line| {
            let pair = line.strip_prefix("export ").and_then(|rest| rest.split_once('='));
            let (name, value) = pair.ok_or_else(|| Error::new(format!("wasm-target.sh answered {line:?}")))?;
            Ok((name.into(), value.trim_matches('\'').into()))
        })
        .collect()
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Error::file("find", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_answers_in_lines_of_exports() {
        let read = exports("export RUSTC='/a b/rustc'\nexport X='1'\n").unwrap();
        assert_eq!(read, [("RUSTC".into(), "/a b/rustc".into()), ("X".into(), "1".into())]);
        assert!(exports("rm -rf").is_err());
        assert!(exports("").unwrap().is_empty());
    }

    #[test]
    fn the_module_is_that_of_the_plugins_own_crate() {
        let line = |manifest: &str, files: &str| {
            format!("{{\"reason\":\"compiler-artifact\",\"manifest_path\":\"{manifest}\",\"filenames\":[{files}]}}\n")
        };
        let said = line("/d/Cargo.toml", "\"/t/d.wasm\"") + &line("/a/Cargo.toml", "\"/t/liba.rlib\",\"/t/a.wasm\"");
        assert_eq!(artifact(&said, Path::new("/a/Cargo.toml")), Some("/t/a.wasm".into()));
        assert_eq!(artifact(&said, Path::new("/b/Cargo.toml")), None);
    }
}
