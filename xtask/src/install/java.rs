//! The jars of `clients/java`, as Maven resolves them from its pom, outside the clone, one folder for each pom.

use crate::progress::Progress;
use crate::workspace;
use anyhow::{Context, Result};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;

/// The folder that holds them, filled first if it is not there.
pub fn jars() -> Result<PathBuf> {
    let pom = workspace::root().join("clients/java/pom.xml");
    let wanted = std::fs::read(&pom).with_context(|| format!("could not read {}", pom.display()))?;
    let mut hasher = DefaultHasher::new();
    wanted.hash(&mut hasher);
    let jars = workspace::cache()?.join(format!("java-{:016x}", hasher.finish()));
    if jars.is_dir() {
        return Ok(jars);
    }
    let progress = Progress::start("jars of clients/java");
    // Filled beside its place and then moved, so that a folder with the right name is always whole.
    let fresh = jars.with_extension(format!("fresh-{}", std::process::id()));
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-f"]).arg(&pom).args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
    progress.run(maven.arg(format!("-DoutputDirectory={}", fresh.display())))?;
    std::fs::rename(&fresh, &jars).with_context(|| format!("could not move the jars to {}", jars.display()))?;
    progress.done(&format!("in {}", jars.display()));
    Ok(jars)
}
