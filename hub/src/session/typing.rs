//! The verb `typing`, and how often a session may call it, or ask who is in a room.

use super::Session;
use crate::access::Permit;
use crate::dialect::command::Reply;
use confab_protocol::{Body, Refusal};
use std::time::Duration;
use tokio::time::Instant;

/// A session may say so once in this time …
const GAP: Duration = Duration::from_millis(500);
/// … and so much earlier, where it has been silent.
const AHEAD: Duration = Duration::from_secs(2);

/// A session may ask who is in a room once in this time …
const ASK_GAP: Duration = Duration::from_millis(100);
/// … and so much earlier, where it has not: it may have come into many rooms at once.
const ASK_AHEAD: Duration = Duration::from_secs(20);

/// How often a session does something.
#[derive(Debug)]
pub(super) struct Pace {
    next: Option<Instant>,
    gap: Duration,
    ahead: Duration,
}

impl Pace {
    pub fn of_typing() -> Self {
        Self { next: None, gap: GAP, ahead: AHEAD }
    }

    pub fn of_presence() -> Self {
        Self { next: None, gap: ASK_GAP, ahead: ASK_AHEAD }
    }

    /// Whether it may say so now.
    ///
    /// # Errors
    /// How long that is too early.
    pub fn may(&mut self, now: Instant) -> Result<(), Duration> {
        let next = self.next.unwrap_or(now).max(now);
        let early = next.saturating_duration_since(now + self.ahead);
        if early.is_zero() {
            self.next = Some(next + self.gap);
            return Ok(());
        }
        Err(early)
    }
}

impl Session {
    pub(super) async fn typing(&mut self, number: u32, permit: Permit) {
        if let Err(early) = self.pace.may(Instant::now()) {
            let retry_after_ms = u64::try_from(early.as_millis()).unwrap_or(u64::MAX).max(1);
            return self.answer(number, &Reply::Refused(Refusal::TooManyRequests { retry_after_ms }));
        }
        let publisher = self.door.publisher.clone();
        let done = || Reply::Rpc(Body::of(&serde_json::Map::new()));
        self.beside(number, async move { publisher.typing(permit).await.map(|()| done()) }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_at_once_and_then_one_each_time() {
        let (mut pace, begin) = (Pace::of_typing(), Instant::now());
        let mut at_once = |now| (0..20).filter(|_| pace.may(now).is_ok()).count();
        assert_eq!(at_once(begin), 5);
        assert_eq!(at_once(begin + GAP), 1);
        assert_eq!(at_once(begin + Duration::from_secs(60)), 5, "silence is not saved up");
    }
}
