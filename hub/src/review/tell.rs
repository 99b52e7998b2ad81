//! The second look for what was decided: what other hubs decided, and this one did not hear of, is found in the store.

use super::Reviewer;
use crate::clock::now_ms;
use confab_protocol::Held;
use confab_protocol::signal::Decision;
use confab_store::Decided;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the store is asked for decisions that no signal told of.
const LOOK: Duration = Duration::from_secs(15);
/// How far hubs' clocks may be apart: decisions so old are looked at again.
const APART: Duration = Duration::from_secs(10);
/// The most decisions that are read at once.
const AT_ONCE: usize = 500;

/// What the sender of a held event is told.
pub(super) fn decision(held: &Held, why: Option<&str>) -> Decision {
    Decision {
        id: held.id(),
        room: held.event.room.clone(),
        key: held.event.key.clone(),
        decision: held.state.as_str().to_owned(),
        reason: why.map(str::to_owned),
    }
}

impl Reviewer {
    /// Tells the senders that are connected here what other hubs decided, unless they were told, until `stop`.
    pub async fn look_again(&self, stop: CancellationToken) {
        let mut since = now_ms();
        let mut away = false;
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            let from = since.saturating_sub(APART.as_millis() as u64);
            match self.store.decided_since(from, AT_ONCE).await {
                Ok(decided) => {
                    away = false;
                    since = decided.iter().map(|decided| decided.at).fold(since, u64::max);
                    for Decided { held, why, .. } in &decided {
                        self.signals.tell_decision(&held.event.sender.user, &decision(held, why.as_deref()));
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
