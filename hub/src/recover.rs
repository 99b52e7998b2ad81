//! The way back: joining a room from a place that the client holds, and reading what was said.
//!
//! One cursor serves from the hot window to the store. What is given is complete, or the answer says that it is not.

use crate::outbox::Frame;
use crate::room::{LocalRoom, Newcomer, Rooms, SessionId};
use crate::session::command::{Joined, Recovery, Since};
use crate::telemetry::Telemetry;
use crate::timeline::{Range, Timeline, Window};
use confab_config::{Limits, Rooms as RoomRules};
use confab_protocol::{Cursor, Record, Refusal, Room};
use confab_store::{Query, Store};
use std::sync::Arc;

/// Everything that the way back passes.
pub struct Recoverer {
    /// Holds the hot window.
    pub timeline: Timeline,
    /// Holds what came before it.
    pub store: Store,
    /// The hub's rooms, where sessions listen.
    pub rooms: Arc<Rooms>,
    /// How much may be asked for.
    pub limits: Limits,
    /// What rooms are.
    pub rules: RoomRules,
    /// Counts and times.
    pub telemetry: Arc<Telemetry>,
}

/// A page of a room's past.
#[derive(Clone, Debug)]
pub struct History {
    /// The events, in the order asked for.
    pub records: Vec<Arc<Record>>,
    /// Where to go on reading; `None` at the end.
    pub next: Option<Cursor>,
    /// The room's last place.
    pub top: Cursor,
}

/// What is asked of a room's past.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Read from here, this place not included.
    pub since: Option<Since>,
    /// From new to old.
    pub reverse: bool,
    /// The most events.
    pub limit: usize,
}

/// A session on its way into a room. `finish` lets it hear; dropping it unfinished needs [`Recoverer::leave`].
pub struct Joining {
    room: Arc<LocalRoom>,
    session: SessionId,
    /// What it is told.
    pub joined: Joined,
}

impl Joining {
    /// Queues the reply, if it was not queued before, and behind it everything that has happened since.
    pub fn finish(&self, reply: Option<Frame>, telemetry: &Telemetry) {
        if !self.room.go_live(self.session, self.joined.cursor, reply) {
            tracing::warn!(room = %self.room.name, "too much came while a session joined: it joins again");
            telemetry.joins_repeated.inc();
        }
    }
}

impl Recoverer {
    /// Lets a session into a room: the subscription first, then the reading, so that nothing falls between.
    pub async fn join(&self, name: &Room, who: Newcomer, since: Option<Since>) -> Result<Joining, Refusal> {
        let session = who.session;
        let room = self.listen(name, who).await?;
        match self.catch_up(name, since).await {
            Ok(joined) => {
                self.telemetry.recovered(joined.recovery, joined.missed.len());
                Ok(Joining { room, session, joined })
            }
            Err(refusal) => {
                self.leave(name, session).await;
                Err(refusal)
            }
        }
    }

    /// Takes a session out of a room; the hub stops listening where it was the last one.
    pub async fn leave(&self, name: &Room, session: SessionId) {
        let Some(room) = self.rooms.get(name) else { return };
        if !room.leave(session) {
            return;
        }
        let mut live = room.link.lock().await;
        if self.rooms.forget(&room) && std::mem::take(&mut *live) {
            self.timeline.unsubscribe(name).await;
        }
    }

    async fn listen(&self, name: &Room, who: Newcomer) -> Result<Arc<LocalRoom>, Refusal> {
        let session = who.session;
        loop {
            let room = self.rooms.enter(name);
            let mut live = room.link.lock().await;
            if !self.rooms.holds(&room) {
                continue; // it was forgotten while we waited for the link
            }
            room.join(who.clone());
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
            return Ok(room);
        }
    }

    /// What a session missed, and the place it listens from.
    async fn catch_up(&self, room: &Room, since: Option<Since>) -> Result<Joined, Refusal> {
        let limit = self.limits.recover_events;
        let Some(since) = since else {
            let window = self.window(room, Range { since: None, reverse: false, limit: 0 }).await?;
            return Ok(Joined { cursor: window.top, missed: Vec::new(), recovery: Recovery::NotAsked, ttl: None });
        };
        let window = self.window(room, Range { since: Some(since.offset), reverse: false, limit: limit + 1 }).await?;
        let top = window.top;
        let epoch = since.epoch.unwrap_or(top.epoch);
        if epoch != top.epoch || since.offset > top.offset || top.offset - since.offset > limit as u64 {
            return self.incomplete(room, &window).await;
        }
        let begins = window.records.first().map_or(top.offset + 1, |record| record.cursor.offset);
        let mut missed = Vec::new();
        if begins > since.offset + 1 {
            if !self.rules.settings(room.as_str()).deep_recovery {
                return self.incomplete(room, &window).await;
            }
            match self.read_deep(room, Cursor { epoch, offset: since.offset }, begins - 1).await? {
                Some(records) => missed = records,
                None => return self.incomplete(room, &window).await,
            }
        }
        missed.extend(window.records);
        debug_assert_eq!(missed.len() as u64, top.offset - since.offset);
        Ok(Joined { cursor: top, missed, recovery: Recovery::Complete, ttl: None })
    }

    /// Reads the events after `since` up to offset `last` from the store: all of them, or `None` where one of them
    /// cannot be read any more.
    async fn read_deep(&self, room: &Room, since: Cursor, last: u64) -> Result<Option<Vec<Arc<Record>>>, Refusal> {
        let mut records = Vec::new();
        let mut at = since;
        while at.offset < last {
            let limit = usize::try_from(last - at.offset).unwrap_or(usize::MAX).min(confab_store::PAGE_RECORDS_MAX);
            let page = self.page(room, Query { since: Some(at), reverse: false, limit }).await?;
            if !page.unreadable.is_empty() {
                tracing::warn!(%room, places = ?page.unreadable, "cannot recover across unreadable events");
                return Ok(None);
            }
            let Some(end) = page.records.last().map(|record| record.cursor) else { return Err(Refusal::HistoryBehind) };
            at = end;
            records.extend(page.records.into_iter().map(Arc::new));
        }
        Ok(Some(records))
    }

    async fn incomplete(&self, room: &Room, window: &Window) -> Result<Joined, Refusal> {
        // The store may be away; then the window's oldest is the oldest that can be read now.
        let stored = self.store.oldest(room).await.ok().flatten();
        let held = window.oldest.map(|offset| Cursor { epoch: window.top.epoch, offset });
        let oldest = stored.into_iter().chain(held).min();
        Ok(Joined { cursor: window.top, missed: Vec::new(), recovery: Recovery::Incomplete { oldest }, ttl: None })
    }

    /// A page of the room's current epoch, as the native dialect's own command has it: a place in another epoch is
    /// unrecoverable, and no older epoch is read.
    pub async fn stream(&self, room: &Room, mut asked: Asked) -> Result<History, Refusal> {
        let top = self.window(room, Range { since: None, reverse: false, limit: 0 }).await?.top;
        if asked.since.is_some_and(|since| since.epoch.is_some_and(|epoch| epoch != top.epoch)) {
            return Err(Refusal::UnrecoverablePosition);
        }
        if asked.since.is_none() && !asked.reverse {
            asked.since = Some(Since { epoch: Some(top.epoch), offset: 0 });
        }
        let mut page = self.history(room, asked).await?;
        page.records.retain(|record| record.cursor.epoch == page.top.epoch);
        Ok(page)
    }

    /// A page of a room's past, from the hot window where it reaches, from the store where it does not.
    pub async fn history(&self, room: &Room, asked: Asked) -> Result<History, Refusal> {
        let offset = asked.since.map(|since| since.offset);
        let range = Range { since: offset, reverse: asked.reverse, limit: asked.limit };
        let window = self.window(room, range).await?;
        let top = window.top;
        if asked.limit == 0 {
            return Ok(History { records: Vec::new(), next: None, top });
        }
        let epoch = asked.since.map_or(top.epoch, |since| since.epoch.unwrap_or(top.epoch));
        let since = offset.map(|offset| Cursor { epoch, offset });
        if since.is_some_and(|since| since > top) {
            return Err(Refusal::UnrecoverablePosition);
        }
        if asked.reverse {
            self.backwards(room, since, asked.limit, window).await
        } else {
            self.forwards(room, since, asked.limit, window).await
        }
    }

    async fn forwards(
        &self,
        room: &Room,
        since: Option<Cursor>,
        limit: usize,
        window: Window,
    ) -> Result<History, Refusal> {
        let top = window.top;
        let from = since.unwrap_or_default();
        let hot = from.epoch == top.epoch
            && window.oldest.map_or(from.offset == top.offset, |oldest| oldest <= from.offset + 1);
        // An epoch's first event in the window is the room's first only if there was no epoch before.
        if hot && (since.is_some() || window.oldest.is_none()) {
            return Ok(page_of(window.records, top, limit));
        }
        let page = self.page(room, Query { since, reverse: false, limit }).await?;
        let last = furthest(&page, false);
        if last.is_none() && page.next.is_none() {
            let reaches = window.records.first().is_some_and(|r| r.cursor == Cursor { epoch: top.epoch, offset: 1 });
            return match (since, top.offset) {
                (None, 0) => Ok(page_of(Vec::new(), top, limit)),
                // Nothing is stored yet, and the window still has the room from its beginning.
                (None, _) if reaches => Ok(page_of(window.records, top, limit)),
                _ => Err(Refusal::HistoryBehind),
            };
        }
        let records: Vec<_> = page.records.into_iter().map(Arc::new).collect();
        let next = page.next.or(last.filter(|last| *last < top));
        Ok(History { records, next, top })
    }

    async fn backwards(
        &self,
        room: &Room,
        since: Option<Cursor>,
        limit: usize,
        window: Window,
    ) -> Result<History, Refusal> {
        let top = window.top;
        let from = since.unwrap_or(Cursor { epoch: top.epoch, offset: top.offset + 1 });
        let mut records = if from.epoch == top.epoch { window.records } else { Vec::new() };
        let reached = records.last().map_or(from, |record| record.cursor);
        if records.len() < limit && reached != Cursor::new(0, 0) {
            let query = Query { since: Some(reached), reverse: true, limit: limit - records.len() };
            let page = self.page(room, query).await?;
            let nearest = furthest(&page, true);
            let continues = nearest.map_or(reached.offset == 1 || page.next.is_some(), |place| {
                place.epoch < reached.epoch || place.offset + 1 == reached.offset
            });
            if !continues {
                // The store has not caught up to where the window begins: what the window holds is still true.
                if records.is_empty() {
                    return Err(Refusal::HistoryBehind);
                }
                return Ok(History { next: Some(reached), records, top });
            }
            // No page spans epochs: what lies before this one is the next page's.
            if records.is_empty() || nearest.is_none_or(|place| place.epoch == reached.epoch) {
                records.extend(page.records.into_iter().map(Arc::new));
                return Ok(History { records, next: page.next, top });
            }
            return Ok(History { records, next: Some(reached), top });
        }
        Ok(History { next: (reached.offset > 1 || records.len() == limit).then_some(reached), records, top })
    }

    async fn window(&self, room: &Room, range: Range) -> Result<Window, Refusal> {
        self.timeline.read(room, range).await.map_err(|error| {
            tracing::warn!(%room, %error, "could not read the hot window");
            Refusal::TimelineUnavailable
        })
    }

    async fn page(&self, room: &Room, query: Query) -> Result<confab_store::Page, Refusal> {
        self.telemetry.store_reads.inc();
        self.store.page(room, query).await.map_err(|error| {
            tracing::warn!(%room, %error, "could not read history");
            Refusal::StoreUnavailable
        })
    }
}

/// The place at one end of a page, readable or not: the last in reading order, or (`nearest`) the first.
fn furthest(page: &confab_store::Page, nearest: bool) -> Option<Cursor> {
    let ends = if nearest {
        [page.records.first().map(|record| record.cursor), page.unreadable.first().copied()]
    } else {
        [page.records.last().map(|record| record.cursor), page.unreadable.last().copied()]
    };
    ends.into_iter().flatten().max()
}

fn page_of(records: Vec<Arc<Record>>, top: Cursor, limit: usize) -> History {
    let last = records.last().map(|record| record.cursor);
    let next = last.filter(|last| records.len() == limit && *last < top);
    History { records, next, top }
}
