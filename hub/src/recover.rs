//! The way back: joining a room from a place that the client holds, and reading what was said.
//!
//! One cursor serves from the hot window to the store. What is given is complete, or the answer says that it is not.

mod catch_up;
mod messages;
mod pages;

pub use catch_up::Joining;
pub use messages::Messages;

use crate::access::Permit;
use crate::background::Background;
use crate::clock::now_ms;
use crate::dialect::command::Since;
use crate::outbox::SessionId;
use crate::room::Rooms;
use crate::room::page_cache::{CacheBytes, weigh};
use crate::telemetry::Telemetry;
use crate::timeline::{Range, Timeline, Window};
use confab_config::{Limits, Rooms as RoomRules};
use confab_protocol::{Cursor, Epoch, Millis, Record, Refusal, Room};
use confab_store::{Query, Store};
use std::sync::Arc;
use tokio::sync::Semaphore;

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
    /// How many bytes the rooms' page caches hold.
    pub cached: CacheBytes,
    /// Where what sessions wait for, and do not end, is brought.
    pub background: Background,
    /// Permits for bringing pages to clients, so that a hub full of them that come back holds few pages at once.
    pub bringing: Arc<Semaphore>,
    /// Permits for pages that clients ask for by `history`: a page is read before anybody knows whether it can leave.
    pub reading: Semaphore,
}

/// How many pages may be on their way to clients at once.
pub const BRINGING_AT_ONCE: usize = 64;
/// How many pages that clients ask for may be read at once.
pub const READING_AT_ONCE: usize = 64;

/// A page of a room's past.
#[derive(Clone, Debug)]
pub struct History {
    /// The events, in the order asked for.
    pub records: Vec<Arc<Record>>,
    /// Where to go on reading; `None` at the end.
    pub next: Option<Cursor>,
    /// The room's last place.
    pub top: Cursor,
    /// Where the room begins since retention has removed what came before, if that was asked for. Nothing need be there yet.
    pub oldest: Option<Cursor>,
}

impl History {
    /// Ends the page behind its first `keep` events; it goes on from there.
    pub fn shorten(&mut self, keep: usize) {
        if keep < self.records.len() {
            self.records.truncate(keep);
            self.next = self.records.last().map(|record| record.cursor);
        }
    }

    /// Ends the page before it takes more than so many bytes, roughly, but not before its first event.
    pub fn shorten_to_bytes(&mut self, bytes: usize) {
        let mut taken = 0;
        let fits = |record: &&Arc<Record>| {
            taken += weigh(record);
            taken <= bytes
        };
        let keep = self.records.iter().take_while(fits).count();
        self.shorten(keep.max(1));
    }
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
    /// The page ends behind the event with which they have so many bytes, roughly: more is not read.
    pub bytes: usize,
}

impl Recoverer {
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

    /// A page of the room's current epoch, as the native dialect's own command has it: a place in another epoch is
    /// unrecoverable, and no older epoch is read.
    pub async fn stream(&self, permit: &Permit, mut asked: Asked) -> Result<History, Refusal> {
        let room = permit.room();
        let top = self.window(room, Range { since: None, reverse: false, limit: 0, bytes: 0 }).await?.top;
        if asked.since.is_some_and(|since| since.epoch.is_some_and(|epoch| epoch != top.epoch)) {
            return Err(Refusal::UnrecoverablePosition);
        }
        if asked.since.is_none() && !asked.reverse {
            asked.since = Some(Since { epoch: Some(top.epoch), offset: 0 });
        }
        if asked.reverse && asked.since.map_or(top.offset, |since| since.offset.saturating_sub(1)) == 0 {
            return Ok(History { records: Vec::new(), next: None, top, oldest: None }); // where the epoch begins
        }
        let mut page = self.read(room, asked).await?;
        page.records.retain(|record| record.cursor.epoch == page.top.epoch);
        Ok(page)
    }

    /// A page of a room's past, from the hot window where it reaches, from the store where it does not.
    pub async fn history(&self, permit: &Permit, asked: Asked) -> Result<History, Refusal> {
        self.read(permit.room(), asked).await
    }

    async fn read(&self, room: &Room, asked: Asked) -> Result<History, Refusal> {
        let offset = asked.since.map(|since| since.offset);
        let range = Range { since: offset, reverse: asked.reverse, limit: asked.limit, bytes: asked.bytes };
        let window = self.window(room, range).await?;
        let top = window.top;
        if asked.limit == 0 {
            return Ok(History { records: Vec::new(), next: None, top, oldest: None });
        }
        let epoch = asked.since.map_or(top.epoch, |since| since.epoch.unwrap_or(top.epoch));
        let since = offset.map(|offset| Cursor { epoch, offset });
        if since.is_some_and(|since| since > top) {
            return Err(Refusal::UnrecoverablePosition);
        }
        if asked.reverse {
            self.backwards(room, since, asked, window).await
        } else {
            self.forwards(room, since, asked, window).await
        }
    }

    async fn forwards(
        &self,
        room: &Room,
        since: Option<Cursor>,
        Asked { limit, bytes, .. }: Asked,
        window: Window,
    ) -> Result<History, Refusal> {
        let top = window.top;
        let from = since.unwrap_or_default();
        let hot = from.epoch == top.epoch
            && window.oldest.map_or(from.offset == top.offset, |oldest| oldest <= from.offset + 1);
        // An epoch's first event in the window is the room's first only if there was no epoch before.
        if hot && (since.is_some() || window.oldest.is_none()) {
            return Ok(page_of(window.records, top));
        }
        let complete = self.earlier_are_stored(room, top).await;
        let stored_before = if complete { top.epoch.0 } else { 0 };
        let page = self.page(room, Query { since, reverse: false, limit, bytes, stored_before }).await?;
        let last = furthest(&page, false);
        if last.is_none() && page.next.is_none() {
            let reaches = window.records.first().is_some_and(|r| r.cursor == Cursor { epoch: top.epoch, offset: 1 });
            if let Some(floor) = page.floor.filter(|floor| from < *floor && floor.epoch == top.epoch) {
                // Retention has removed up to where the window begins: there it goes on.
                let since = Some(Since { epoch: Some(floor.epoch), offset: floor.offset });
                let rest = Box::pin(self.read(room, Asked { since, reverse: false, limit, bytes })).await?;
                return Ok(History { oldest: begins(Some(floor)), ..rest });
            }
            return match (since, top.offset) {
                // More is to come of the epochs before this one.
                _ if !complete => Err(Refusal::HistoryBehind),
                // Nothing has happened in this epoch, and the store knows nothing more of those before it.
                (_, 0) => Ok(page_of(Vec::new(), top)),
                // Nothing is stored yet, and the window still has the room from its beginning.
                (None, _) if reaches => Ok(page_of(window.records, top)),
                _ => Err(Refusal::HistoryBehind),
            };
        }
        let records: Vec<_> = page.records.into_iter().map(Arc::new).collect();
        let next = page.next.or(last.filter(|last| *last < top));
        let oldest = begins(page.floor.filter(|floor| from < *floor));
        Ok(History { records, next, top, oldest })
    }

    async fn backwards(
        &self,
        room: &Room,
        since: Option<Cursor>,
        Asked { limit, bytes, .. }: Asked,
        window: Window,
    ) -> Result<History, Refusal> {
        let top = window.top;
        let from = since.unwrap_or(Cursor { epoch: top.epoch, offset: top.offset + 1 });
        let mut records = if from.epoch == top.epoch { window.records } else { Vec::new() };
        let reached = records.last().map_or(from, |record| record.cursor);
        // Where the window has more than the bytes that were asked for, the next page goes on in it.
        let cut = !records.is_empty() && window.oldest.is_some_and(|oldest| oldest < reached.offset);
        if records.len() < limit && !cut && reached != Cursor::new(0, 0) {
            let bytes = bytes.saturating_sub(records.iter().map(|record| weigh(record)).sum());
            let complete = self.earlier_are_stored(room, top).await;
            let stored_before = if complete { top.epoch.0 } else { 0 };
            let since = Some(reached);
            let query = Query { since, reverse: true, limit: limit - records.len(), bytes, stored_before };
            let page = self.page(room, query).await?;
            let nearest = furthest(&page, true);
            if !continues(&page, nearest, reached, complete.then_some(top.epoch)) {
                // The store has not caught up to where the window begins: what the window holds is still true.
                if records.is_empty() {
                    return Err(Refusal::HistoryBehind);
                }
                return Ok(History { next: Some(reached), records, top, oldest: None });
            }
            // No page spans epochs: what lies before this one is the next page's.
            if records.is_empty() || nearest.is_none_or(|place| place.epoch == reached.epoch) {
                records.extend(page.records.into_iter().map(Arc::new));
                let oldest = begins(page.floor.filter(|_| page.next.is_none()));
                return Ok(History { records, next: page.next, top, oldest });
            }
            return Ok(History { records, next: Some(reached), top, oldest: None });
        }
        let next = (reached.offset > 1 || records.len() == limit).then_some(reached);
        Ok(History { next, records, top, oldest: None })
    }

    /// Whether the store has everything that was acknowledged before the epoch that goes on. Where that cannot be asked, it
    /// is not known to have.
    async fn earlier_are_stored(&self, room: &Room, top: Cursor) -> bool {
        self.timeline.earlier_are_stored(top.epoch).await.unwrap_or_else(|error| {
            tracing::warn!(%room, %error, "could not ask whether the store has caught up with earlier generations");
            false
        })
    }

    async fn window(&self, room: &Room, range: Range) -> Result<Window, Refusal> {
        self.telemetry.window_reads.inc();
        let mut window = self.timeline.read(room, range).await.map_err(|error| {
            tracing::warn!(%room, %error, "could not read the hot window");
            Refusal::TimelineUnavailable
        })?;
        forget_old(&mut window, kept_since(&self.rules, room));
        Ok(window)
    }

    async fn page(&self, room: &Room, query: Query) -> Result<confab_store::Page, Refusal> {
        self.telemetry.store_reads.inc();
        let mut page = self.store.page(room, query).await.map_err(|error| {
            tracing::warn!(%room, %error, "could not read history");
            Refusal::StoreUnavailable
        })?;
        self.timeline.blank_deleted(room, &mut page.records).await.map_err(|error| {
            tracing::warn!(%room, %error, "could not ask what was deleted lately");
            Refusal::TimelineUnavailable
        })?;
        Ok(page)
    }
}

/// Where a room begins that retention has emptied up to a place.
fn begins(floor: Option<Cursor>) -> Option<Cursor> {
    floor.map(|floor| Cursor { offset: floor.offset + 1, ..floor })
}

/// The time from which on the room's events are kept; 0 where all are.
fn kept_since(rules: &RoomRules, room: &Room) -> Millis {
    let retention = rules.settings(room.as_str()).retention;
    if retention.is_zero() { 0 } else { now_ms().saturating_sub(retention.as_millis() as Millis) }
}

/// Takes out of a window what is past its room's retention: it holds so many events, however old they are. Behind the last such
/// everything is given, as the store does.
fn forget_old(window: &mut Window, since: Millis) {
    let is_old = |record: &Record| record.event.at < since;
    let young = window.records.iter().filter(|one| !is_old(one)).map(|one| one.cursor.offset).min();
    let before =
        window.records.iter().map(|one| one.cursor.offset).filter(|offset| young.is_none_or(|young| *offset < young));
    let Some(last_old) = before.max() else { return };
    window.records.retain(|one| one.cursor.offset > last_old);
    window.oldest = (last_old < window.top.offset).then_some(last_old + 1);
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

/// Whether nothing is missing between `reached` and the page of the store that was read backwards from there. `complete`: the
/// epoch that goes on, if the store has everything that was acknowledged before it.
///
/// An epoch that is over keeps its holes: what was lost with its generation. It is over for the store once that has
/// everything of it, or a row of a later one, since a room's records are read in order.
fn continues(page: &confab_store::Page, nearest: Option<Cursor>, reached: Cursor, complete: Option<Epoch>) -> bool {
    let newest = page.through.map(|through| through.epoch);
    let is_over = newest > Some(reached.epoch) || complete > Some(reached.epoch);
    match nearest.filter(|place| place.epoch == reached.epoch) {
        Some(place) => place.offset + 1 == reached.offset || is_over,
        // Offset 0 is where an epoch begins: nothing of it comes before that, nor before its first event.
        None => {
            // What is not kept any more is not missing.
            let before = Cursor { epoch: reached.epoch, offset: reached.offset.saturating_sub(1) };
            let begins = reached.offset <= 1 || is_over || page.floor >= Some(before);
            begins && (newest >= Some(reached.epoch) || complete >= Some(reached.epoch))
        }
    }
}

/// A page of the hot window, which reaches up to the top: what is not in it comes after it.
fn page_of(records: Vec<Arc<Record>>, top: Cursor) -> History {
    let next = records.last().map(|record| record.cursor).filter(|last| *last < top);
    History { records, next, top, oldest: None }
}

#[cfg(test)]
#[path = "recover/tests.rs"]
mod tests;
