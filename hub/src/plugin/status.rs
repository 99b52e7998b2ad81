//! How the chain and its plugins are: for `confab chain status`.

use super::Chain;
use super::breaker::BreakerState;
use super::contract::VERSION;
use super::tally::Tallied;
use confab_config::{Isolation, OnFault};
use serde::Serialize;

/// How the chain is.
#[derive(Clone, Debug, Serialize)]
pub struct ChainStatus {
    /// Its version, as trails name it.
    pub version: String,
    /// The version of the contract that the hub speaks.
    pub contract: String,
    /// Its plugins, by name.
    pub plugins: Vec<PluginStatus>,
}

/// How a plugin is.
#[derive(Clone, Debug, Serialize)]
pub struct PluginStatus {
    /// Its name.
    pub plugin: String,
    /// The hash of its module.
    pub hash: String,
    /// What becomes of an event when it fails.
    pub on_fault: OnFault,
    /// What survives from one message to the next.
    pub isolation: Isolation,
    /// Whether it is asked.
    pub breaker: BreakerState,
    /// How many senders it is not asked about, as their messages kept making it fail.
    pub senders_paused: usize,
    /// The most memory that one instance may have, in bytes.
    pub memory_limit_bytes: usize,
    /// What it did since it was loaded.
    #[serde(flatten)]
    pub tallied: Tallied,
}

impl Chain {
    /// How it is now.
    pub fn status(&self) -> ChainStatus {
        let plugins = self.members.values().map(|member| {
            let module = member.pool.module();
            PluginStatus {
                plugin: member.name.clone(),
                hash: module.hash.clone(),
                on_fault: member.on_fault,
                isolation: member.terms.isolation,
                breaker: member.breaker.state(),
                senders_paused: member.breaker.senders_paused(),
                memory_limit_bytes: module.bounds.memory,
                tallied: module.tally.read(),
            }
        });
        let (major, minor) = VERSION;
        ChainStatus {
            version: self.version().to_owned(),
            contract: format!("{major}.{minor}"),
            plugins: plugins.collect(),
        }
    }
}
