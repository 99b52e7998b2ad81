//! How large a message the topic of events takes.

use super::{Inner, topics};
use crate::backoff::Backoff;
use std::ops::RangeInclusive;
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::warn;

/// The waits between questions how large a message the topic takes.
const LIMITS_AGAIN: RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_secs(30);

/// Asks how large a message the topic takes until the brokers say, or the journal is dropped.
pub(super) async fn learn(journal: Weak<Inner>) {
    let mut backoff = Backoff::new(LIMITS_AGAIN);
    let mut told = false;
    while let Some(config) = journal.upgrade().map(|inner| inner.config.clone()) {
        match topics::message_bytes(&config).await {
            Ok(takes) => {
                let Some(inner) = journal.upgrade() else { return };
                let sent = config.message_bytes();
                if takes < sent {
                    let topic = inner.events.as_str();
                    warn!(
                        topic,
                        takes,
                        needed = sent,
                        "the topic takes smaller messages than `limits.body` may ask for"
                    );
                }
                inner.message_bytes.store(takes.min(sent), Ordering::Relaxed);
                return;
            }
            Err(error) if !std::mem::replace(&mut told, true) => {
                warn!(%error, "could not ask how large a message the topic takes, trying again");
            }
            Err(_) => {}
        }
        backoff.wait().await;
    }
}
