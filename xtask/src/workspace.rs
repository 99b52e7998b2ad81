//! Where the clone is, and where things are kept that outlive it.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The clone's top folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// A folder outside the clone, shared by all clones of this user: `$XDG_CACHE_HOME/confab`, else `~/.cache/confab`.
pub fn cache() -> Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    Ok(base.context("neither XDG_CACHE_HOME nor HOME is set: there is no folder to keep downloads in")?.join("confab"))
}

/// The first file of this name in the folders of `PATH`.
pub fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Whether this process is root, as it is in CI and in containers.
pub fn is_root() -> bool {
    user() == Some(0)
}

/// The number of the user that this process runs as.
pub fn user() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    // The owner of /proc/self is this process's user; where there is no /proc, `id` knows.
    std::fs::metadata("/proc/self").map(|own| own.uid()).ok().or_else(|| number("-u", None))
}

/// The number of a user. `None` if there is no such user.
pub fn id_of(user: &str) -> Option<u32> {
    number("-u", Some(user))
}

/// The number of a user's main group. `None` if there is no such user.
pub fn group_of(user: &str) -> Option<u32> {
    number("-g", Some(user))
}

fn number(flag: &str, user: Option<&str>) -> Option<u32> {
    let output = std::process::Command::new("id").arg(flag).args(user).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
