//! The pages that a catch-up is made of: each block of a room's past is read once for all who want it.

use super::{Recoverer, forget_old, kept_since};
use crate::room::LocalRoom;
use crate::room::page_cache::{CacheBytes, Page, PageKey, Taken};
use crate::telemetry::Telemetry;
use crate::timeline::{Range, Timeline, Window};
use confab_protocol::{Cursor, Epoch, Millis, Refusal, Room};
use confab_store::{Query, Store};
use futures_util::FutureExt;
use std::sync::Arc;

/// How many places a block has. A place's block is the same for every client, so that pages can be shared.
const BLOCK: u64 = 200;

/// What comes after a place.
pub(super) enum Next {
    /// These events of a page, at least one, the first right after the place.
    Events(Arc<Page>, std::ops::Range<usize>),
    /// It was the last place when that was looked at.
    Nothing,
    /// Something that cannot be read: gone from the hot window (and the store may not be asked), unreadable, or of
    /// another epoch.
    Lost,
}

impl Recoverer {
    /// The room's last place: what this hub has heard, or, if it has heard nothing yet, what the timeline says.
    pub(super) async fn top(&self, room: &Arc<LocalRoom>) -> Result<Cursor, Refusal> {
        if room.heard().is_none() {
            room.begin_at(self.take(room, PageKey::Top, |_| true).await?.top);
        }
        Ok(room.heard().unwrap_or_default())
    }

    /// The oldest place that can be read.
    pub(super) async fn oldest(&self, room: &Arc<LocalRoom>) -> Result<Option<Cursor>, Refusal> {
        Ok(self.take(room, PageKey::Oldest, |_| true).await?.oldest)
    }

    /// What comes after `at`.
    pub(super) async fn next(&self, room: &Arc<LocalRoom>, at: Cursor) -> Result<Next, Refusal> {
        let block = at.offset / BLOCK;
        let begins_after = |page: &Page| page.oldest.is_none_or(|oldest| oldest.offset > at.offset + 1);
        let goes_on = |page: &Page| page.top.epoch == at.epoch && page.top > at;
        let serves = |page: &Page| goes_on(page) && (page.after(at).is_some() || begins_after(page));
        let hot = self.take(room, PageKey::Window(block), serves).await?;
        if hot.top.epoch != at.epoch {
            return Ok(Next::Lost);
        }
        if let Some(start) = hot.after(at) {
            let end = hot.records.len();
            return Ok(Next::Events(hot, start..end));
        }
        if hot.top <= at {
            return Ok(Next::Nothing);
        }
        if !self.rules.settings(room.name.as_str()).deep_recovery {
            return Ok(Next::Lost);
        }
        let deep = self.take(room, PageKey::Store(at.epoch, block), |page| page.after(at).is_some()).await?;
        let Some(start) = deep.after(at) else {
            if deep.oldest.is_some_and(|oldest| oldest.epoch == at.epoch && oldest.offset > at.offset + 1) {
                return Ok(Next::Lost); // retention has removed it
            }
            if deep.unreadable.iter().any(|place| place.offset == at.offset + 1) {
                tracing::warn!(room = %room.name, places = ?deep.unreadable, "cannot recover across unreadable events");
                return Ok(Next::Lost);
            }
            return Err(Refusal::HistoryBehind);
        };
        let run =
            deep.records[start..].iter().zip(at.offset + 1..).take_while(|(one, place)| one.cursor.offset == *place);
        let end = start + run.count();
        Ok(Next::Events(deep, start..end))
    }

    async fn take(
        &self,
        room: &Arc<LocalRoom>,
        key: PageKey,
        serves: impl Fn(&Page) -> bool,
    ) -> Result<Arc<Page>, Refusal> {
        let Taken { page, read } =
            room.pages.take(&self.background, key, serves, || self.reader(&room.name).read(key).boxed()).await?;
        if !read {
            self.telemetry.shared_pages.inc();
        }
        Ok(page)
    }

    fn reader(&self, room: &Room) -> Reader {
        Reader {
            room: room.clone(),
            timeline: self.timeline.clone(),
            store: self.store.clone(),
            telemetry: self.telemetry.clone(),
            cached: self.cached.clone(),
            kept_since: kept_since(&self.rules, room),
        }
    }
}

/// Reads a page for all who want it.
struct Reader {
    room: Room,
    timeline: Timeline,
    store: Store,
    telemetry: Arc<Telemetry>,
    cached: CacheBytes,
    /// The time from which on the room's events are kept; 0 where all are.
    kept_since: Millis,
}

impl Reader {
    async fn read(self, key: PageKey) -> Result<Page, Refusal> {
        match key {
            PageKey::Top => {
                let window = self.window(None, 0).await?;
                Ok(self.page(&window, None, Vec::new()))
            }
            PageKey::Oldest => {
                let window = self.window(None, 0).await?;
                self.telemetry.store_reads.inc();
                // The store may be away; then the window's oldest is the oldest that can be read now.
                let stored = self.store.oldest(&self.room).await.inspect_err(|error| {
                    tracing::warn!(room = %self.room, %error, "could not look for the oldest event");
                });
                let stored = stored.ok().flatten();
                // A window may hold what is past the room's retention.
                let oldest = match stored.filter(|_| self.kept_since > 0) {
                    Some(stored) => Some(stored),
                    None => stored.into_iter().chain(held(&window)).min(),
                };
                Ok(self.page(&window, oldest, Vec::new()))
            }
            PageKey::Window(block) => {
                let window = self.window(Some(block * BLOCK), BLOCK as usize).await?;
                let records = window.records.iter().filter(|one| one.cursor.offset <= (block + 1) * BLOCK).cloned();
                Ok(self.page(&window, held(&window), records.collect()))
            }
            PageKey::Store(epoch, block) => self.stored(epoch, block).await,
        }
    }

    async fn stored(&self, epoch: Epoch, block: u64) -> Result<Page, Refusal> {
        let since = Cursor { epoch, offset: block * BLOCK };
        self.telemetry.store_reads.inc();
        let query =
            Query { since: Some(since), reverse: false, limit: BLOCK as usize, bytes: usize::MAX, stored_before: 0 };
        let mut page = self.store.page(&self.room, query).await.map_err(|error| {
            tracing::warn!(room = %self.room, %error, "could not read what a client missed");
            Refusal::StoreUnavailable
        })?;
        self.timeline.blank_deleted(&self.room, &mut page.records).await.map_err(|error| {
            tracing::warn!(room = %self.room, %error, "could not ask what was deleted lately");
            Refusal::TimelineUnavailable
        })?;
        let records = page.records.into_iter().map(Arc::new).collect();
        let oldest = page.floor.map_or(since, |floor| since.max(Cursor { offset: floor.offset + 1, ..floor }));
        Ok(Page::new(since, Some(oldest), records, page.unreadable, &self.cached))
    }

    async fn window(&self, since: Option<u64>, limit: usize) -> Result<Window, Refusal> {
        self.telemetry.window_reads.inc();
        let range = Range { since, reverse: false, limit, bytes: usize::MAX };
        let mut window = self.timeline.read(&self.room, range).await.map_err(|error| {
            tracing::warn!(room = %self.room, %error, "could not read the hot window");
            Refusal::TimelineUnavailable
        })?;
        forget_old(&mut window, self.kept_since);
        Ok(window)
    }

    fn page(&self, window: &Window, oldest: Option<Cursor>, records: Vec<Arc<confab_protocol::Record>>) -> Page {
        Page::new(window.top, oldest, records, Vec::new(), &self.cached)
    }
}

/// The oldest place that the hot window holds.
fn held(window: &Window) -> Option<Cursor> {
    window.oldest.map(|offset| Cursor { epoch: window.top.epoch, offset })
}
