//! Comparing every room with the timeline, where something may have been lost anywhere, beside what goes on being delivered.

use super::Deliverer;
use futures_util::StreamExt;
use std::cmp::Reverse;
use tokio::sync::watch;

/// How many rooms are compared at once.
const COMPARED_AT_ONCE: usize = 32;

impl Deliverer {
    /// Compares all rooms each time that is asked for, until nobody can ask any more. However often it is asked for meanwhile,
    /// it is done once more afterwards.
    pub(super) async fn compare_when_asked(&self, mut asked: watch::Receiver<u64>) {
        while asked.changed().await.is_ok() {
            self.compare().await;
        }
    }

    /// Rooms with many listeners come first. What is heard of a room meanwhile is delivered as ever: whoever finds the gap
    /// first repairs it, and the other finds nothing more to do.
    async fn compare(&self) {
        let mut rooms = self.rooms.all();
        tracing::info!(rooms = rooms.len(), "comparing every room with the timeline");
        rooms.sort_by_cached_key(|room| Reverse(room.listeners()));
        let each = futures_util::stream::iter(rooms).for_each_concurrent(COMPARED_AT_ONCE, |room| async move {
            if let Some(last) = room.heard() {
                self.repair(&room, last).await;
            }
        });
        each.await;
    }
}
