//! The hub: what a running one consists of, how it is doing, and its way to another chain of plugins.

mod judges;
pub mod reload;
mod sampled;
pub mod watch;

pub use judges::{build_chain, build_trial};

use crate::journal::Journal;
use crate::plugin::{ChainStatus, Observer};
use crate::publish::Publisher;
use crate::room::Rooms;
use crate::telemetry::Telemetry;
use crate::timeline::Timeline;
use crate::verb::Services;
use confab_config::Profile;
use confab_store::Store;
use reload::Reloader;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The metrics of a hub, those included that are read off its parts at each scrape.
pub fn telemetry() -> Arc<Telemetry> {
    let mut telemetry = Telemetry::new();
    telemetry.sampled(&sampled::METRICS.map(|metric| (metric.name, metric.kind, metric.help)));
    Arc::new(telemetry)
}

/// A running hub.
pub struct Hub {
    /// Its profile.
    pub profile: Profile,
    /// The searchable past.
    pub store: Store,
    pub(crate) timeline: Timeline,
    pub(crate) journal: Journal,
    pub(crate) publisher: Arc<Publisher>,
    pub(crate) rooms: Arc<Rooms>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) services: Arc<Services>,
    /// The sends and reads under way: a drain waits for them.
    pub(crate) tasks: TaskTracker,
    pub(crate) draining: CancellationToken,
}

impl Hub {
    /// What verbs call on.
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// How the chain that judges now is.
    pub fn chain(&self) -> ChainStatus {
        self.publisher.chain.load().status()
    }

    /// The way to a new chain.
    pub fn reloader(&self) -> &Arc<Reloader> {
        &self.reloader
    }

    /// Whether clients should be sent here.
    pub fn ready(&self) -> Result<(), &'static str> {
        if self.draining.is_cancelled() {
            Err("draining")
        } else if !self.publisher.outages.takes(self.journal.healthy()) {
            Err("the journal is unavailable")
        } else if !self.timeline.healthy() {
            Err("the timeline is unavailable")
        } else {
            Ok(())
        }
    }

    /// The metrics as text.
    pub fn exposition(&self) -> String {
        let t = &self.telemetry;
        t.rooms.set(self.rooms.len() as i64);
        for plugin in self.chain().plugins {
            t.plugins.memory(&plugin.plugin, plugin.tallied.memory_bytes);
        }
        for metric in &sampled::METRICS {
            t.set(metric.name, (metric.read)(self));
        }
        t.exposition()
    }
}
