//! Looks now and then for rooms whose history stops at a place that has no record, and says so: nothing else would.

use crate::Metrics;
use confab_store::{Stopped, Store};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// How often it looks. The question reads one small row of each room.
const LOOK: Duration = Duration::from_secs(60);
/// How long a place may be missing before anybody is told: what a hub that died left pending, others journal within this time.
const PATIENCE: Duration = Duration::from_secs(300);
/// The most rooms that are counted.
const ROOMS_MAX: usize = 1000;

/// Looks until told to stop.
pub async fn watch(store: Store, metrics: Arc<Metrics>, stop: CancellationToken) {
    let mut told = HashSet::new();
    loop {
        look(&store, &metrics, &mut told, SystemTime::now()).await;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Looks once. `told`: the places that the log has a line of already.
pub async fn look(store: &Store, metrics: &Metrics, told: &mut HashSet<String>, now: SystemTime) {
    let stopped = match store.stopped(ROOMS_MAX).await {
        Ok(stopped) => stopped,
        // That the store is away is said by whoever stores.
        Err(error) => return debug!(%error, "could not look for missing places"),
    };
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_millis());
    let is_long = |stopped: &&Stopped| stopped.since.is_none_or(|since| u128::from(since) + PATIENCE.as_millis() < now);
    let long: Vec<_> = stopped.iter().filter(is_long).collect();
    metrics.stopped_rooms.set(i64::try_from(long.len()).unwrap_or(i64::MAX));
    let mut missing = HashSet::new();
    for Stopped { room, first, .. } in long {
        let place = format!("{room} {first}");
        if !told.contains(&place) {
            warn!(%room, first_missing = %first, "the history of a room stops at a place that has no record (`confab lost list`)");
        }
        missing.insert(place);
    }
    *told = missing;
}
