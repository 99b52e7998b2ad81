//! A Python environment with the packages of `clients/python`, outside the clone, one for each list of requirements.

use crate::progress::Progress;
use crate::workspace;
use anyhow::{Context, Result};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;

/// The environment's Python.
pub fn environment() -> Result<PathBuf> {
    let requirements = workspace::root().join("clients/python/requirements.txt");
    let wanted = std::fs::read(&requirements).with_context(|| format!("could not read {}", requirements.display()))?;
    let mut hasher = DefaultHasher::new();
    wanted.hash(&mut hasher);
    let folder = workspace::cache()?.join(format!("python-{:016x}", hasher.finish()));
    let python = folder.join("bin/python");
    // An environment cannot be moved, so a file written last tells that it is whole.
    let complete = folder.join("complete");
    if complete.exists() && python.exists() {
        return Ok(python);
    }
    let progress = Progress::start("Python packages of clients/python");
    let mut venv = Command::new("python3");
    progress.run(venv.args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&requirements);
    progress.run(&mut pip)?;
    std::fs::write(&complete, "")?;
    progress.done(&format!("in {}", folder.display()));
    Ok(python)
}
