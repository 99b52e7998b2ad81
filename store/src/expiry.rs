//! One walk through all rooms, removing what is past its retention a little at a time.

use crate::retention::Settled;
use crate::{Error, Store};
use confab_protocol::{EventId, Millis, Room};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How many rooms are listed at once.
const ROOMS_AT_ONCE: usize = 500;
/// After so much work the walk rests.
const WORK: Duration = Duration::from_millis(20);
/// The walk rests so many times as long as it worked: it takes at most a fifth of one connection's time.
const RESTS: u32 = 4;

impl Store {
    /// Goes once through all rooms and all that moderators are done with, and removes what is older than `before` says for its
    /// room (`None`: nothing). `removed` is told the table and how many rows, after each transaction. Returns when the oldest event
    /// was said that is kept in a room of which anything may be removed.
    ///
    /// Of several that walk at once, in one process or in many, each removes what the others have not.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer: what is left goes with the next walk.
    pub async fn expire_all(
        &self,
        before: impl Fn(&Room) -> Option<Millis>,
        mut removed: impl FnMut(&'static str, u64),
    ) -> Result<Option<Millis>, Error> {
        let mut pace = Pace::new();
        let mut oldest: Option<Millis> = None;
        let mut last = None;
        loop {
            let rooms = self.rooms_after(last.as_ref(), ROOMS_AT_ONCE).await?;
            for room in &rooms {
                let Some(before) = before(room) else { continue };
                loop {
                    let step = self.expire(room, before).await?;
                    let rows = [("events", step.events), ("messages", step.messages), ("reactions", step.reactions)];
                    rows.into_iter().filter(|(_, rows)| *rows > 0).for_each(|(table, rows)| removed(table, rows));
                    pace.rest().await;
                    if !step.more {
                        oldest = oldest.into_iter().chain(step.oldest).min();
                        break;
                    }
                }
            }
            let is_all = rooms.len() < ROOMS_AT_ONCE;
            last = rooms.into_iter().next_back();
            if is_all {
                break;
            }
        }
        for (what, table) in [(Settled::Held, "held"), (Settled::Flags, "flags")] {
            let mut after = Some((0, EventId(Uuid::nil())));
            while let Some(from) = after {
                let (rows, next) = self.expire_settled(what, from, &before).await?;
                if rows > 0 {
                    removed(table, rows);
                }
                after = next;
                pace.rest().await;
            }
        }
        Ok(oldest)
    }
}

/// Rests from time to time.
struct Pace {
    began: Instant,
}

impl Pace {
    fn new() -> Self {
        Self { began: Instant::now() }
    }

    async fn rest(&mut self) {
        let worked = self.began.elapsed();
        if worked >= WORK {
            tokio::time::sleep(worked * RESTS).await;
            self.began = Instant::now();
        }
    }
}
