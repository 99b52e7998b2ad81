//! Work that runs beside the sessions for as long as a hub lives, and ends with it.

use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long such work may take to end once it was told to.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// The tasks of a hub that belong to no session. Cheap to clone; every clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Background {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Background {
    /// Runs a task that ends by itself, at the latest when it is [told to](Self::stop).
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(work);
    }

    /// Cancelled when the hub ends.
    pub fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Tells every task to end, and waits until all have; for [`END_TIMEOUT`] at most.
    pub async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(END_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "background tasks did not end in time");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn the_end_waits_for_every_task() {
        let background = Background::default();
        let ended = Arc::new(AtomicU32::new(0));
        for _ in 0..3 {
            let stop = background.stop();
            let ended = ended.clone();
            background.spawn(async move {
                stop.cancelled().await;
                tokio::task::yield_now().await;
                ended.fetch_add(1, Ordering::Relaxed);
            });
        }
        assert_eq!(ended.load(Ordering::Relaxed), 0);
        background.end().await;
        assert_eq!(ended.load(Ordering::Relaxed), 3);
    }
}
