//! npm packages of a folder, exactly as its lockfile says.

use crate::progress::Progress;
use crate::workspace;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

/// `clients/node`, with its packages in place.
pub fn packages() -> Result<PathBuf> {
    packages_of("clients/node")
}

/// A folder of the clone, with its packages in place.
pub fn packages_of(name: &str) -> Result<PathBuf> {
    let folder = workspace::root().join(name);
    let lockfile = folder.join("package-lock.json");
    let wanted = std::fs::read(&lockfile).with_context(|| format!("could not read {}", lockfile.display()))?;
    // A copy of the lockfile, written last, tells that these packages were installed from it and completely.
    let installed = folder.join("node_modules/.installed-from.json");
    if std::fs::read(&installed).is_ok_and(|found| found == wanted) {
        return Ok(folder);
    }
    let progress = Progress::start(format!("npm packages of {name}"));
    let mut npm = Command::new("npm");
    progress.run(npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    std::fs::write(&installed, wanted)?;
    progress.done("installed");
    Ok(folder)
}
