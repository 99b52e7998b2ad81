//! The toolchains: found where they are, brought where they can be, and told of where they cannot.

pub mod javascript;
pub mod python;
pub mod rust;

use crate::manifest::{CAPABILITIES, Manifest};
use crate::{CONTRACT, Error, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The world that a script's component is made for: the contract's, with the capabilities of its manifest.
const WORLD: &str = "built";

/// A folder for what is downloaded, shared by all plugins of this user: `$XDG_CACHE_HOME/confab`, else `~/.cache/confab`.
pub fn cache() -> Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("confab")).ok_or_else(|| {
        Error::new("there is no folder to keep toolchains in")
            .help("set XDG_CACHE_HOME to a folder that may be written to")
    })
}

/// Writes the contract, with a world of the capabilities that the manifest names, into `<work>/wit`.
fn write_contract(manifest: Option<&Manifest>, work: &Path) -> Result<PathBuf> {
    let folder = work.join("wit");
    let package = CONTRACT.lines().find(|line| line.starts_with("package ")).unwrap_or_default();
    let asked = |key: &str| manifest.is_some_and(|manifest| manifest.capabilities.contains_key(key));
    let worlds = CAPABILITIES.iter().filter(|(key, _)| asked(key)).map(|(_, world)| format!("  include {world};\n"));
    let built = format!("{package}\n\nworld {WORLD} {{\n  include plugin;\n{}}}\n", worlds.collect::<String>());
    let write = |name: &str, text: &str| {
        let file = folder.join(name);
        fs::write(&file, text).map_err(|error| Error::file("write", &file, &error))
    };
    fs::create_dir_all(&folder).map_err(|error| Error::file("make", &folder, &error))?;
    write("plugin.wit", CONTRACT)?;
    write("built.wit", &built)?;
    Ok(folder)
}

/// Makes a folder of the cache once: `make` fills it, and a file written last tells that it is whole. Two that want it at
/// the same time wait for one another.
fn once(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = cache()?.join(name);
    let whole = folder.join("complete");
    if whole.exists() {
        return Ok(folder);
    }
    fs::create_dir_all(&folder).map_err(|error| Error::file("make", &folder, &error))?;
    let lock = folder.with_extension("lock");
    let locked = File::create(&lock).and_then(|file| file.lock().map(|()| file));
    let _one_at_a_time = locked.map_err(|error| Error::file("lock", &lock, &error))?;
    if !whole.exists() {
        make(&folder)?;
        fs::write(&whole, "").map_err(|error| Error::file("write", &whole, &error))?;
    }
    Ok(folder)
}

/// Runs a tool to its end; what it said is shown only if it fails.
fn run(command: &mut Command, what: &str, help: &str) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::new(format!("could not start `{program}`")).note(error.to_string()).help(help))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    Err(Error::new(what).note(lines[lines.len().saturating_sub(40)..].join("\n")).help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scripts_world_has_the_capabilities_of_its_manifest_and_no_other() {
        let work = tempfile::tempdir().unwrap();
        let text = "name='a'\nversion='1.0.0'\ndescription='x'\nlicense='MIT'\n[capabilities]\nkv='to count'";
        let manifest = Manifest::parse(Path::new("plugin.toml"), text).unwrap();
        let folder = write_contract(Some(&manifest), work.path()).unwrap();
        let built = fs::read_to_string(folder.join("built.wit")).unwrap();
        assert!(built.starts_with("package confab:plugin@1.") && built.contains("include memory;"), "{built}");
        assert_eq!(built.matches("include").count(), 2, "{built}");
    }

    #[test]
    fn every_capability_has_its_world_in_the_contract() {
        for (key, world) in CAPABILITIES {
            assert!(CONTRACT.contains(&format!("world {world} {{\n  import host-{key};")), "{key}");
        }
    }
}
