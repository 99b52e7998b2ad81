//! Confab from the outside: real services, real processes, stock clients, and a checker that judges what they saw.

pub mod chaos;
pub mod checker;
pub mod client;
pub mod gather;
pub mod polling;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod stock;
pub mod topic;
pub mod world;

pub use client::say_many;
use std::time::{Duration, Instant};

/// How long a test waits for a state that must come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `look` finds the state, asking again and again; fails with `what` when it does not come.
pub async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look).await
}

/// The same with another patience.
pub async fn within<T>(patience: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < patience, "did not come to be within {patience:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
