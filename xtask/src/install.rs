//! Brings what is missing on this machine, through the ordinary clients of the package registries.
//!
//! Asking when all is there costs a few file look-ups. On Debian as root, missing programs are installed; anywhere else
//! the error says exactly what to install. What is downloaded lies outside the clone and is shared by all clones.

pub mod connect;
mod java;
mod kafka;
mod node;
pub mod peers;
mod python;
mod system;

use crate::{progress, workspace};
use anyhow::{Context, Result};
use std::fs::File;
use std::path::PathBuf;

pub use kafka::jars as kafka_jars;
pub use node::packages_of as npm_packages;
pub use system::browser;

/// Where everything is that tests need.
#[derive(Clone, Debug)]
pub struct Installed {
    /// The folder of Kafka's jars.
    pub kafka_jars: PathBuf,
    /// `clients/node`, with its `node_modules`.
    pub node: PathBuf,
    /// The Python that has the packages of `clients/python`.
    pub python: PathBuf,
    /// The folder of the jars of `clients/java`.
    pub java: PathBuf,
}

/// Everything that `cargo xtask test` needs.
pub fn for_tests() -> Result<Installed> {
    let _one_at_a_time = lock()?;
    system::ensure(&[system::build(), system::services(), system::clients()].concat())?;
    Ok(Installed {
        kafka_jars: kafka::jars()?,
        node: node::packages()?,
        python: python::environment()?,
        java: java::jars()?,
    })
}

/// What the services need; returns the folder of Kafka's jars.
pub fn for_services() -> Result<PathBuf> {
    let _one_at_a_time = lock()?;
    system::ensure(&[system::build(), system::services()].concat())?;
    kafka::jars()
}

/// What it takes to build the hub and to talk to it.
pub fn for_embedded() -> Result<()> {
    let _one_at_a_time = lock()?;
    system::ensure(&system::build())?;
    match workspace::on_path("npm") {
        Some(_) => node::packages().map(|_| ()),
        None => {
            progress::say("· no `npm` here: the hub runs, the stock client's scripts in clients/node do not");
            Ok(())
        }
    }
}

/// Two clones that install at once would do it twice, and into one another.
fn lock() -> Result<File> {
    let folder = workspace::cache()?;
    std::fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    let file = File::create(folder.join("install.lock"))?;
    file.lock().context("could not lock the cache folder")?;
    Ok(file)
}
