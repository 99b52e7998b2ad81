//! Kafka to PostgreSQL, through the front door, with real services.

mod fixture;
mod outage;
mod poison;
mod process;
mod sharing;
mod stopped;
mod storing;

use std::future::Future;
use std::time::{Duration, Instant};

/// Long enough for a slow machine; a test that passes does not wait for it.
const LONG: Duration = Duration::from_secs(60);

/// A variable that names a service for tests.
fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test`, which starts the services"))
}

/// Waits for a state.
async fn eventually<F: Future<Output = bool>>(what: &str, mut state: impl FnMut() -> F) {
    let until = Instant::now() + LONG;
    while !state().await {
        assert!(Instant::now() < until, "not within {LONG:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
