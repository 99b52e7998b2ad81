//! Building plugins: from a Rust crate to a component that the hub loads.

use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use wit_component::ComponentEncoder;

/// What plugins are compiled for: no system interface at all.
const TARGET: &str = "wasm32-unknown-unknown";

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

/// The plugins that only tests use.
pub const FIXTURES: &[&str] = &["misbehave"];

/// Builds each of these packages of the workspace into `<out>/<name>.wasm` and returns the files. What has not changed is
/// not built again.
///
/// Where the active toolchain lacks the target, `scripts/wasm-target.sh` asks rustup for it, and where rustup's server
/// cannot be reached it makes a compiler from Debian's packages; the environment variable `CONFAB_WASM=debian` forces that.
pub fn build(names: &[&str], out: &Path) -> Result<Vec<PathBuf>> {
    build_with(&Toolchain::find()?, names, out)
}

/// Builds them with the compiler that the script makes from Debian's packages, even where the toolchain has the target.
pub fn build_by_script(names: &[&str], out: &Path) -> Result<Vec<PathBuf>> {
    build_with(&Toolchain::by_script(true)?, names, out)
}

fn build_with(toolchain: &Toolchain, names: &[&str], out: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(out).with_context(|| format!("could not create {}", out.display()))?;
    names
        .iter()
        .map(|name| {
            let core = toolchain.compile(name)?;
            let component = out.join(format!("{name}.wasm"));
            encode(&core, &component).with_context(|| format!("could not make {name} a component"))?;
            Ok(component)
        })
        .collect()
}

/// The compiler to use, and where its work goes.
struct Toolchain {
    environment: Vec<(OsString, OsString)>,
    target_dir: PathBuf,
}

impl Toolchain {
    fn find() -> Result<Self> {
        let forced = std::env::var_os("CONFAB_WASM").is_some_and(|way| way == "debian");
        if !forced && has_target()? {
            return Ok(Self { environment: Vec::new(), target_dir: target_dir()?.join("plugins") });
        }
        // The script asks rustup first, unless it is forced to the other way.
        Self::by_script(false)
    }

    /// A compiler of its own needs a folder of its own: cargo does not notice that the standard library was rebuilt.
    fn by_script(forced: bool) -> Result<Self> {
        let script = root().join("scripts/wasm-target.sh");
        let mut command = Command::new(&script);
        if forced {
            command.env("CONFAB_WASM", "debian");
        }
        let output = command
            .stderr(std::process::Stdio::inherit())
            .output()
            .with_context(|| format!("could not run {}", script.display()))?;
        ensure!(output.status.success(), "no compiler for plugins: {} failed", script.display());
        let environment = exports(&String::from_utf8(output.stdout).context("the script's answer is not text")?)?;
        Ok(Self { environment, target_dir: target_dir()?.join("plugins-debian") })
    }

    /// Compiles one package and returns its core module. One at a time, so that no package's features reach another's.
    fn compile(&self, name: &str) -> Result<PathBuf> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .current_dir(root())
            .args(["build", "--quiet", "--lib", "--profile", "plugin", "--target", TARGET, "--package", name])
            .arg("--target-dir")
            .arg(&self.target_dir)
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .status()
            .context("could not run cargo")?;
        ensure!(status.success(), "plugin {name} does not compile");
        Ok(self.target_dir.join(TARGET).join("plugin").join(format!("{}.wasm", name.replace('-', "_"))))
    }
}

/// Makes a core module a component. A file that is as it should be is left alone, and a new one appears whole or not at all:
/// tests may be reading it.
fn encode(core: &Path, component: &Path) -> Result<()> {
    let module = fs::read(core).with_context(|| format!("could not read {}", core.display()))?;
    let mut encoder = ComponentEncoder::default().validate(true);
    encoder = encoder.module(&module)?;
    let bytes = encoder.encode()?;
    if fs::read(component).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let unfinished = component.with_extension(format!("wasm.{}", std::process::id()));
    fs::write(&unfinished, bytes).with_context(|| format!("could not write {}", unfinished.display()))?;
    fs::rename(&unfinished, component).with_context(|| format!("could not write {}", component.display()))
}

/// Whether the active toolchain has the target's standard library.
fn has_target() -> Result<bool> {
    let output = Command::new("rustc")
        .current_dir(root())
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .context("could not run rustc")?;
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let Ok(files) = fs::read_dir(folder) else { return Ok(false) };
    Ok(files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libstd-")))
}

/// Reads the script's answer: lines of `export NAME='value'`.
fn exports(text: &str) -> Result<Vec<(OsString, OsString)>> {
    text.lines()
        .map(|line| {
            let pair = line.strip_prefix("export ").and_then(|rest| rest.split_once('='));
            let Some((name, value)) = pair else { bail!("the script answered {line:?}") };
            Ok((name.into(), value.trim_matches('\'').into()))
        })
        .collect()
}

fn target_dir() -> Result<PathBuf> {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    std::path::absolute(&folder).with_context(|| format!("{} is no folder", folder.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
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
}
