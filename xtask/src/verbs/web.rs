//! `cargo xtask web`: the web client, from its sources to the files that the hub's build takes in.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::progress::{Progress, say};
use xtask::{install, workspace};

/// What the web client is built from.
const SOURCES: [&str; 5] = ["clients/js", "clients/react", "web", "package.json", "package-lock.json"];
/// What lies among them and is not theirs.
const NOT_SOURCES: [&str; 5] = ["node_modules", "dist", "test", "tests", ".built-from"];

/// Builds it, unless it was built from the same sources.
pub fn build() -> Result<()> {
    let root = workspace::root();
    let stamp = root.join("web/dist/.built-from");
    let sources = sources(root)?;
    if fs::read_to_string(&stamp).is_ok_and(|before| before == sources) {
        return Ok(());
    }
    install::npm_packages(".")?;
    let progress = Progress::start("the web client");
    let mut npm = Command::new("npm");
    progress.run(npm.args(["run", "--silent", "build"]).current_dir(root))?;
    fs::write(&stamp, sources).with_context(|| format!("could not write {}", stamp.display()))?;
    progress.done("built into web/dist");
    Ok(())
}

/// As [`build`], where there is a Node.js; elsewhere the hub's page says what is missing.
pub fn build_if_possible() -> Result<()> {
    if workspace::on_path("npm").is_some() {
        return build();
    }
    say("· no `npm` here: the hub is built without its web client, and its page says so");
    Ok(())
}

/// Which files there are, with a fingerprint of each: a change of one is a line that differs.
fn sources(root: &Path) -> Result<String> {
    let mut files = Vec::new();
    for name in SOURCES {
        gather(&root.join(name), &mut files)?;
    }
    files.sort();
    let mut out = String::new();
    for file in files {
        let content = fs::read(&file).with_context(|| format!("could not read {}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        out += &format!("{:016x} {name}\n", fingerprint(&content));
    }
    Ok(out)
}

fn gather(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.file_name().is_some_and(|name| NOT_SOURCES.iter().any(|other| name == *other)) {
        return Ok(());
    }
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| format!("could not read {}", path.display()))? {
        gather(&entry?.path(), files)?;
    }
    Ok(())
}

/// FNV-1a: it tells one version of a file from another, and is nothing to trust.
fn fingerprint(content: &[u8]) -> u64 {
    content.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
