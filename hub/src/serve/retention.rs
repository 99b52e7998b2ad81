//! Retention of an embedded hub, which is its own consumer: what is too old is removed now and then.

use crate::clock::now_ms;
use crate::telemetry::Telemetry;
use confab_config::Rooms;
use confab_protocol::{Millis, Room};
use confab_store::Store;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The longest time between two walks through all rooms.
const WALK: Duration = Duration::from_secs(600);
/// The shortest.
const WALK_MIN: Duration = Duration::from_secs(1);

/// Removes what is past its retention, by the rules as they are at each moment, until told to stop.
pub(super) async fn keep(store: Store, rules: Rooms, telemetry: Arc<Telemetry>, stop: CancellationToken) {
    loop {
        let shortest = rules.shortest_retention();
        if shortest.is_some() && stop.run_until_cancelled(walk(&store, &rules, &telemetry)).await.is_none() {
            return;
        }
        let wait = shortest.map_or(WALK, |shortest| (shortest / 10).clamp(WALK_MIN, WALK));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn walk(store: &Store, rules: &Rooms, telemetry: &Telemetry) {
    let now = now_ms();
    let before = |room: &Room| {
        let retention = rules.settings(room.as_str()).retention;
        (!retention.is_zero()).then(|| now.saturating_sub(retention.as_millis() as Millis))
    };
    let mut removed: BTreeMap<&'static str, u64> = BTreeMap::new();
    let walked = store.expire_all(before, |table, rows| {
        *removed.entry(table).or_default() += rows;
        telemetry.removed(table, rows);
    });
    match walked.await {
        Ok(oldest) => {
            // Where nothing is left there is nothing old.
            let oldest = oldest.unwrap_or(now) / 1000;
            telemetry.oldest_kept.set(i64::try_from(oldest).unwrap_or(i64::MAX));
        }
        Err(error) => tracing::warn!(%error, "could not remove all that is past its retention; trying again later"),
    }
    if !removed.is_empty() {
        tracing::info!(rows = ?removed, "removed what is past its retention");
    }
}
