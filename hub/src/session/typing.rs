//! The verb `typing`, and how often a session may call it.

use super::Session;
use super::joins::origin;
use crate::auth::Identity;
use crate::dialect::command::Reply;
use confab_protocol::{Body, Refusal, Room};
use std::time::Duration;
use tokio::time::Instant;

/// A session may say so once in this time …
const GAP: Duration = Duration::from_millis(500);
/// … and so much earlier, where it has been silent.
const AHEAD: Duration = Duration::from_secs(2);

/// How often a session says that somebody is typing.
#[derive(Debug, Default)]
pub(super) struct Pace {
    next: Option<Instant>,
}

impl Pace {
    /// Whether it may say so now.
    pub fn may(&mut self, now: Instant) -> bool {
        let next = self.next.unwrap_or(now).max(now);
        let may = next <= now + AHEAD;
        if may {
            self.next = Some(next + GAP);
        }
        may
    }
}

impl Session {
    pub(super) async fn typing(&mut self, number: u32, identity: &Identity, room: Room) {
        if !self.pace.may(Instant::now()) {
            return self.answer(number, &Reply::Refused(Refusal::TooManyRequests));
        }
        let (who, origin) = (self.present(identity), origin(identity));
        let publisher = self.door.publisher.clone();
        let done = || Reply::Rpc(Body::of(&serde_json::Map::new()));
        self.beside(number, async move { publisher.typing(room, who, origin).await.map(|()| done()) }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_at_once_and_then_one_each_time() {
        let (mut pace, begin) = (Pace::default(), Instant::now());
        let mut at_once = |now| (0..20).filter(|_| pace.may(now)).count();
        assert_eq!(at_once(begin), 5);
        assert_eq!(at_once(begin + GAP), 1);
        assert_eq!(at_once(begin + Duration::from_secs(60)), 5, "silence is not saved up");
    }
}
