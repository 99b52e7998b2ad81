//! The peers that Confab is measured beside.

use super::{lock, node, system};
use crate::progress::Progress;
use crate::workspace;
use anyhow::{Context, Result};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;

/// The folder of the Socket.IO server, with its packages in place.
pub fn socketio() -> Result<PathBuf> {
    let _one_at_a_time = lock()?;
    system::ensure(&system::clients())?;
    node::packages_of("bench/peers/socketio")
}

/// The program of the server on the `centrifuge` library. It lies outside the clone, one for each state of its source.
pub fn centrifuge() -> Result<PathBuf> {
    let _one_at_a_time = lock()?;
    system::ensure(&system::clients())?;
    let folder = workspace::root().join("bench/peers/centrifuge");
    let mut hasher = DefaultHasher::new();
    for file in ["go.mod", "go.sum", "main.go"] {
        let path = folder.join(file);
        std::fs::read(&path).with_context(|| format!("could not read {}", path.display()))?.hash(&mut hasher);
    }
    let program = workspace::cache()?.join(format!("bench-centrifuge-{:016x}", hasher.finish()));
    if program.is_file() {
        return Ok(program);
    }
    let progress = Progress::start("a server on the centrifuge library");
    // Built beside its place and then moved, so that a program with the right name is always whole.
    let fresh = program.with_extension(std::process::id().to_string());
    let mut go = Command::new("go");
    progress.run(go.arg("-C").arg(&folder).args(["build", "-mod=readonly", "-o"]).arg(&fresh))?;
    std::fs::rename(&fresh, &program)?;
    progress.done(&format!("{}", program.display()));
    Ok(program)
}
