//! Into a room: the subscription first, then what was missed, then everything that comes.
//!
//! What was missed leaves in pages. The first is part of the reply, the rest follows as publications, as fast as the
//! client reads. What happens meanwhile is read, too, until the client has caught up with what the hub hears; from then
//! on it is told what the hub hears. So nothing need be held back for a client, however much it missed.

use super::pages::Next;
use super::{Asked, Recoverer};
use crate::access::Permit;
use crate::dialect::Dialect;
use crate::dialect::command::{Joined, Recovery, Since};
use crate::outbox::SessionId;
use crate::outbox::{Frame, Outbox};
use crate::room::page_cache::weigh;
use crate::room::{JoinRequest, LocalRoom, Standing, Ticket};
use confab_protocol::{Cursor, Refusal, Room};
use std::sync::Arc;

/// The most bytes of events in a reply to a join, roughly; what is over follows as publications.
const REPLY_BYTES_MAX: usize = 64 * 1024;

/// A session on its way into a room. `finish` lets it hear; dropping it unfinished needs [`Recoverer::leave`].
pub struct Joining {
    way: Way,
    /// What it is told.
    pub joined: Joined,
}

/// What leads from the recoverer to one joining listener.
struct Way {
    recoverer: Arc<Recoverer>,
    room: Arc<LocalRoom>,
    session: SessionId,
    ticket: Ticket,
    outbox: Arc<Outbox>,
    dialect: Dialect,
}

impl Joining {
    /// Queues the reply, if it was not queued before, and behind it everything that follows, as fast as it is read.
    pub fn finish(self, reply: impl FnOnce(Joined) -> Option<Frame>) {
        let Self { way, joined } = self;
        let at = joined.cursor;
        if way.room.go_live(way.session, way.ticket, at, reply(joined)) == Standing::Behind {
            let background = way.recoverer.background.clone();
            background.spawn(way.bring(at));
        }
    }
}

impl Recoverer {
    /// Lets a session into a room: the subscription first, then the reading, so that nothing falls between. `rooms` is
    /// how many rooms the reply is about.
    pub async fn join(
        self: &Arc<Self>,
        permit: &Permit,
        who: JoinRequest,
        since: Option<Since>,
        rooms: usize,
    ) -> Result<Joining, Refusal> {
        let name = permit.room();
        let session = who.session;
        let outbox = who.outbox.clone();
        let dialect = who.dialect.clone();
        let (room, ticket) = self.listen(name, who).await?;
        let bytes = REPLY_BYTES_MAX.min(outbox.left() / 4) / rooms.max(1);
        match self.catch_up(&room, since, bytes).await {
            Ok(joined) => {
                self.telemetry.recovered(joined.recovery, joined.missed.len());
                let way = Way { recoverer: self.clone(), room, session, ticket, outbox, dialect };
                Ok(Joining { way, joined })
            }
            Err(refusal) => {
                Box::pin(self.leave(name, session)).await;
                Err(refusal)
            }
        }
    }

    async fn listen(&self, name: &Room, who: JoinRequest) -> Result<(Arc<LocalRoom>, Ticket), Refusal> {
        let session = who.session;
        loop {
            let room = self.rooms.enter(name);
            let mut live = room.link.lock().await;
            if !self.rooms.holds(&room) {
                continue; // it was forgotten while we waited for the link
            }
            let ticket = room.join(who.clone());
            if !*live {
                if let Err(error) = self.timeline.subscribe(name).await {
                    tracing::warn!(room = %name, %error, "could not subscribe");
                    room.leave(session);
                    self.rooms.forget(&room);
                    return Err(Refusal::TimelineUnavailable);
                }
                *live = true;
            }
            drop(live);
            return Ok((room, ticket));
        }
    }

    /// What a session missed, as much as has room in its reply, and the place from which it goes on. What is rare is boxed:
    /// thousands may wait here at once for a room's page.
    async fn catch_up(&self, room: &Arc<LocalRoom>, since: Option<Since>, bytes: usize) -> Result<Joined, Refusal> {
        let mut top = self.top(room).await?;
        let Some(since) = since else {
            return Ok(Joined { cursor: top, missed: Vec::new(), recovery: Recovery::NotAsked, ttl: None });
        };
        if since.epoch.is_some_and(|epoch| epoch > top.epoch) || since.offset > top.offset {
            // Another hub may be ahead of what this one has heard.
            let asked = Asked { since: None, reverse: true, limit: 0, bytes: 0 };
            top = Box::pin(self.read(&room.name, asked)).await?.top;
        }
        let mut at = Cursor { epoch: since.epoch.unwrap_or(top.epoch), offset: since.offset };
        let recoverable = self.limits.recover_events as u64;
        if at.epoch != top.epoch || at > top || top.offset - at.offset > recoverable {
            return Box::pin(self.incomplete(room)).await;
        }
        let mut missed = Vec::new();
        let mut taken = 0;
        while at < top {
            let _bringing = self.bringing.acquire().await;
            let (page, run) = match self.next(room, at).await {
                Ok(Next::Events(page, run)) => (page, run),
                Ok(Next::Nothing) => break,
                Ok(Next::Lost) => return Box::pin(self.incomplete(room)).await,
                Err(refusal) if missed.is_empty() => return Err(refusal),
                Err(_) => break, // it is given what there is, and hears of the trouble when it comes for the rest
            };
            let mut full = false;
            for record in &page.records[run] {
                taken += weigh(record);
                full = taken > bytes;
                if full {
                    break;
                }
                at = record.cursor;
                missed.push(record.clone());
            }
            if full {
                break;
            }
        }
        Ok(Joined { cursor: at, missed, recovery: Recovery::Complete, ttl: None })
    }

    async fn incomplete(&self, room: &Arc<LocalRoom>) -> Result<Joined, Refusal> {
        let cursor = self.top(room).await?;
        let oldest = self.oldest(room).await?;
        Ok(Joined { cursor, missed: Vec::new(), recovery: Recovery::Incomplete { oldest }, ttl: None })
    }
}

impl Way {
    /// Brings page after page from `at` on, as fast as the client reads, until the listener hears by itself. Where it
    /// cannot be given everything it is told to join again, from the place it holds, and learns why.
    async fn bring(self, mut at: Cursor) {
        loop {
            let brought = {
                let _paced = self.outbox.paced.lock().await;
                if !self.outbox.has_room().await {
                    return; // the session is ending
                }
                self.bring_page(at).await
            };
            match brought {
                Ok(Some(last)) => at = last,
                Ok(None) => return,
                Err(why) => {
                    tracing::warn!(room = %self.room.name, %at, why, "could not give a client what it missed: it joins again");
                    self.recoverer.telemetry.joins_repeated.inc();
                    return self.room.give_up(self.session, self.ticket);
                }
            }
            match self.room.go_live(self.session, self.ticket, at, None) {
                Standing::Behind => {}
                Standing::Live | Standing::Gone => return,
            }
        }
    }

    /// The place up to which the client has everything now; `None` if it does not wait for it any more.
    async fn bring_page(&self, at: Cursor) -> Result<Option<Cursor>, &'static str> {
        let _bringing = self.recoverer.bringing.acquire().await;
        let (page, run) = match self.recoverer.next(&self.room, at).await {
            Ok(Next::Events(page, run)) => (page, run),
            Ok(Next::Nothing) => return Err("the timeline knows less than this hub has heard"),
            Ok(Next::Lost) => return Err("what comes next cannot be read any more"),
            Err(refusal) => return Err(refusal.name()),
        };
        let mut left = self.outbox.left() / 2;
        let mut end = run.start;
        let frames = page.frames(&self.dialect);
        while end < run.end && (end == run.start || frames[end].len() <= left) {
            left = left.saturating_sub(frames[end].len());
            end += 1;
        }
        if !self.room.feed(self.session, self.ticket, &frames[run.start..end]) {
            return Ok(None);
        }
        self.recoverer.telemetry.recovered_events.inc_by((end - run.start) as u64);
        Ok(Some(page.records[end - 1].cursor))
    }
}
