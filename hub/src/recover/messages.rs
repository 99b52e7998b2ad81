//! Messages as they are now: which stand in a part of a room's past, and what the store and the hot window together make of them.

use super::{Asked, Recoverer};
use crate::access::Permit;
use crate::dialect::command::Since;
use crate::room::page_cache::weigh;
use crate::timeline::{Range, Window};
use confab_protocol::{Cursor, Kind, Record, Refusal, Room};
use confab_store::{Folded, Message};
use std::sync::Arc;

/// The most events that the store may lack for messages to be served: so many are folded in for each page.
const NEWER_MAX: usize = 1000;
/// The most pages of events that are read for one page of messages: between messages there may be many edits and reactions.
const EVENT_PAGES_MAX: usize = 3;

/// A page of messages.
#[derive(Clone, Debug)]
pub struct Messages {
    /// The messages of one epoch, in the order asked for. There may be fewer than were asked for, or none.
    pub messages: Vec<Message>,
    /// Where to go on reading; `None` at the end.
    pub next: Option<Cursor>,
    /// The place up to which events have been folded in, and none after it.
    pub as_of: Cursor,
    /// How far the store knew the room's newest epoch.
    pub through: Option<Cursor>,
}

impl Recoverer {
    /// A page of a room's messages, each with everything that is known of it at one place.
    ///
    /// # Errors
    /// [`Refusal::HistoryBehind`] where events are missing between what the store has and what the hot window has, and as
    /// [`Self::history`].
    pub async fn messages(&self, permit: &Permit, asked: Asked) -> Result<Messages, Refusal> {
        self.folded(permit.room(), asked).await
    }

    pub(super) async fn folded(&self, room: &Room, asked: Asked) -> Result<Messages, Refusal> {
        let (records, next) = self.said(room, asked).await?;
        let known = self.through(room).await?;
        let mut window = self.newer(room, known.map(|through| through.offset)).await?;
        if window.top.epoch.0 != known.map_or(0, |through| through.epoch.0) {
            window = self.newer(room, None).await?; // what the store knows is no place of this epoch
        }
        let earlier = self.earlier_are_stored(room, window.top).await;
        self.telemetry.store_reads.inc();
        let folded = self.store.messages(room, &records, &window.records).await.map_err(|error| {
            tracing::warn!(%room, %error, "could not read messages");
            Refusal::StoreUnavailable
        })?;
        if !is_whole(&folded, &window, earlier) {
            return Err(Refusal::HistoryBehind);
        }
        let as_of = folded.through.map_or(window.top, |through| through.max(window.top));
        Ok(Messages { messages: folded.messages, next, as_of, through: folded.through })
    }

    /// Events that say something, and where to go on behind the last that was looked at.
    async fn said(&self, room: &Room, asked: Asked) -> Result<(Vec<Arc<Record>>, Option<Cursor>), Refusal> {
        let mut said: Vec<Arc<Record>> = Vec::new();
        let mut since = asked.since;
        let mut bytes = 0;
        let mut next = None;
        for _ in 0..EVENT_PAGES_MAX {
            let limit = self.limits.history_page;
            let page = self.read(room, Asked { since, limit, bytes: asked.bytes, ..asked }).await?;
            let last = page.records.last().map(|record| record.cursor);
            for record in page.records {
                let is_other_epoch = said.first().is_some_and(|first| first.cursor.epoch != record.cursor.epoch);
                if is_other_epoch || bytes >= asked.bytes {
                    return Ok((said, next));
                }
                next = Some(record.cursor);
                if record.event.kind == Kind::Message {
                    bytes += weigh(&record);
                    said.push(record);
                }
                if said.len() >= asked.limit {
                    let is_last = page.next.is_none() && next == last;
                    return Ok((said, next.filter(|_| !is_last)));
                }
            }
            next = page.next;
            let Some(Cursor { epoch, offset }) = next else { break };
            if said.first().is_some_and(|first| first.cursor.epoch != epoch) {
                break;
            }
            since = Some(Since { epoch: Some(epoch), offset });
        }
        Ok((said, next))
    }

    async fn newer(&self, room: &Room, since: Option<u64>) -> Result<Window, Refusal> {
        self.window(room, Range { since, reverse: false, limit: NEWER_MAX, bytes: usize::MAX }).await
    }

    async fn through(&self, room: &Room) -> Result<Option<Cursor>, Refusal> {
        self.telemetry.store_reads.inc();
        self.store.through(room).await.map_err(|error| {
            tracing::warn!(%room, %error, "could not ask how far the store is");
            Refusal::StoreUnavailable
        })
    }
}

/// Whether no event is missing: not between the store's and the window's, and not at the window's end. `earlier`: the store
/// has everything of the epochs before the window's.
fn is_whole(folded: &Folded, window: &Window, earlier: bool) -> bool {
    let top = window.top;
    let stored = match folded.through {
        Some(through) if through.epoch > top.epoch => return true, // the room went on while this was read
        Some(through) if through.epoch == top.epoch => through.offset,
        _ if !earlier => return false,
        _ => 0,
    };
    let given = window.records.first().zip(window.records.last());
    stored >= top.offset
        || given.is_some_and(|(first, last)| first.cursor.offset <= stored + 1 && last.cursor.offset >= top.offset)
}
