//! When a draining hub ends a session.

use super::Environment;
use crate::outbox::SessionId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Ends when a draining hub may end this session: at its place in the spread, and when every command under way has put
/// its answer into the outbox.
pub(super) async fn due(env: Arc<Environment>, id: SessionId, in_flight: Arc<Semaphore>) {
    /// The pace at which sessions are sent away.
    const EACH: Duration = Duration::from_millis(1);
    env.draining.cancelled().await;
    let sessions = u32::try_from(env.telemetry.sessions.get().max(1)).unwrap_or(u32::MAX);
    let spread = (EACH * sessions).min(env.drain_spread);
    // Neighbouring numbers lie far apart, so that those who came together do not go together.
    let place = u32::try_from(id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32).unwrap_or_default();
    tokio::time::sleep(spread.mul_f64(f64::from(place) / f64::from(u32::MAX))).await;
    let all = u32::try_from(env.limits.commands_in_flight).unwrap_or(u32::MAX);
    drop(in_flight.acquire_many(all).await);
}
