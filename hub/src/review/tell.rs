//! Telling senders what was decided: at once where they are connected here, and what other hubs decided once the store
//! shows it.

use super::Reviewer;
use confab_protocol::{Body, EventId, Held, Key, Room};
use confab_store::Decided;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

/// How often the store is asked for decisions of other hubs.
const LOOK: Duration = Duration::from_secs(1);
/// How far hubs' clocks may be apart: decisions so old are looked at again.
const APART: Duration = Duration::from_secs(10);
/// The most decisions that are read at once.
const AT_ONCE: usize = 500;

/// The decisions that were told here, for as long as they are looked at.
#[derive(Default)]
pub struct Told(Mutex<HashMap<EventId, Instant>>);

impl Told {
    /// Whether this is the first time.
    fn first(&self, id: EventId) -> bool {
        let (mut told, now) = (self.0.lock(), Instant::now());
        told.retain(|_, at| now.duration_since(*at) < APART * 3);
        told.insert(id, now).is_none()
    }
}

/// What a sender is told.
#[derive(Serialize)]
struct ReviewOut<'a> {
    r#type: &'static str,
    id: EventId,
    room: &'a Room,
    key: &'a Key,
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl Reviewer {
    pub(super) fn tell(&self, held: &Held, why: Option<&str>) {
        if !self.told.first(held.id()) {
            return;
        }
        let (room, key, decision) = (&held.event.room, &held.event.key, held.state.as_str());
        let message = Body::of(&ReviewOut { r#type: "review", id: held.id(), room, key, decision, reason: why });
        let sessions = self.people.tell(&held.event.sender.user, &message);
        tracing::debug!(id = %held.id(), decision, sessions, "told the sender");
    }

    /// Tells the senders that are connected here what other hubs decided, until `stop`.
    pub async fn listen(&self, stop: CancellationToken) {
        let mut since = now_ms();
        let mut away = false;
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            if self.people.is_empty() {
                since = now_ms();
                continue;
            }
            let from = since.saturating_sub(APART.as_millis() as u64);
            match self.store.decided_since(from, AT_ONCE).await {
                Ok(decided) => {
                    away = false;
                    since = decided.iter().map(|decided| decided.at).fold(since, u64::max);
                    for Decided { held, why, .. } in &decided {
                        self.tell(held, why.as_deref());
                    }
                }
                Err(error) if !away => {
                    away = true;
                    tracing::warn!(%error, "could not ask what other hubs decided: senders are told later");
                }
                Err(_) => {} // said already
            }
        }
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
