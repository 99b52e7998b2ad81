//! An embedded hub that keeps nothing: what a message costs besides its commit. `cargo xtask bench single` measures it.
//!
//! `cargo run --release --example unjournaled -- HUB_TOML`. It is no setting of the hub, and the program `confab` has no way
//! to it: a receipt of this one is a lie, and whatever was said is gone with the process.

use anyhow::{Context, Result, bail, ensure};
use confab_config::Profile;
use confab_hub::backends::Keeping;
use confab_hub::serve;
use mimalloc::MiMalloc;
use std::path::PathBuf;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc; // as in the hub

fn main() -> Result<()> {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        bail!("somebody else has chosen the crypto library");
    }
    let path = PathBuf::from(std::env::args_os().nth(1).context("usage: unjournaled <hub.toml>")?);
    let Ok(loaded) = confab_config::load(Some(&path), confab_config::process_environment(), Vec::new()) else {
        bail!("{} cannot be used; `confab config check` says why", path.display());
    };
    ensure!(loaded.config.profile() == Profile::Embedded, "only an embedded hub can be without its journal");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve::run_keeping(Keeping::Nothing, &loaded, std::future::pending(), |_| {}))?;
    Ok(())
}
