//! Retention: removes from the store what is too old, now and then, beside what is stored.

use crate::Metrics;
use crate::source::old_letters;
use confab_config::{Config, KafkaConfig, Rooms};
use confab_protocol::{Millis, Room};
use confab_store::Store;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The longest time between two walks through all rooms.
const WALK: Duration = Duration::from_secs(600);
/// The shortest.
const WALK_MIN: Duration = Duration::from_secs(1);

/// Removes what is past its retention until told to stop. Of several consumers each removes what the others have not.
pub async fn keep(store: Store, config: &Config, metrics: Arc<Metrics>, stop: CancellationToken) {
    let rules = Rooms::new(config);
    let letters = config.kafka().filter(|_| !config.store.retention.is_zero());
    let letters = letters.map(|kafka| (kafka, config.store.retention));
    let Some(shortest) = rules.shortest_retention() else { return };
    let wait = (shortest / 10).clamp(WALK_MIN, WALK);
    loop {
        if stop.run_until_cancelled(walk(&store, &rules, letters.as_ref(), &metrics)).await.is_none() {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn walk(store: &Store, rules: &Rooms, letters: Option<&(KafkaConfig, Duration)>, metrics: &Metrics) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_millis() as Millis);
    let before = |room: &Room| {
        let retention = rules.settings(room.as_str()).retention;
        (!retention.is_zero()).then(|| now.saturating_sub(retention.as_millis() as Millis))
    };
    let mut removed: BTreeMap<&'static str, u64> = BTreeMap::new();
    let walked = store.expire_all(before, |table, rows| {
        *removed.entry(table).or_default() += rows;
        metrics.removed(table, rows);
    });
    match walked.await {
        Ok(oldest) => {
            // Where nothing is left there is nothing old.
            let oldest = oldest.unwrap_or(now) / 1000;
            metrics.oldest_kept.set(i64::try_from(oldest).unwrap_or(i64::MAX));
        }
        Err(error) => warn!(%error, "could not remove all that is past its retention; trying again later"),
    }
    if let Some((kafka, retention)) = letters {
        match old_letters::remove_before(kafka, now.saturating_sub(retention.as_millis() as Millis)).await {
            Ok(0) => {}
            Ok(records) => {
                removed.insert("dead_letters", records);
                metrics.removed("dead_letters", records);
            }
            Err(error) => warn!(%error, "dead letters past the retention stay in their topic; trying again later"),
        }
    }
    if !removed.is_empty() {
        info!(rows = ?removed, "removed what is past its retention");
    }
}
