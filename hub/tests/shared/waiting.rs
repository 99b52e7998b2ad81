//! Waiting for a state, for all of the hub's tests: the only place in them that pauses.

use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Asks again and again until there is an answer; fails with `what` when none comes within `deadline`.
pub async fn until<T>(what: &str, deadline: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(begun.elapsed() < deadline, "waited in vain for {deadline:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}
