//! One room's timeline in memory: position, hot window, deleted ids and keys.

use super::super::{Counters, Known, Outcome, Range, Window, blanked, deletes, edits, weigh};
use super::event_window::EventWindow;
use crate::clock::now_ms;
use confab_protocol::{Cursor, EventId, Key, Millis, Record, UserId};
use confab_store::KeyUse;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much of a room is kept at hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hot {
    /// How many events.
    pub events: usize,
    /// How long when nothing happens.
    pub age: Duration,
}

/// The state of a room. It only ever holds what is committed.
pub(super) struct RoomState {
    top: Cursor,
    window: EventWindow,
    /// How long the window stays when nothing happens; known from the last append.
    window_age: Option<Duration>,
    touched: Instant,
    deleted: Deleted,
    keys: Keys,
}

impl RoomState {
    /// A room in which nothing has happened.
    pub(super) fn new(top: Cursor, dedupe_window: Duration, counters: Arc<Counters>) -> Self {
        Self {
            top,
            window: EventWindow::new(counters),
            window_age: None,
            touched: Instant::now(),
            deleted: Deleted::default(),
            keys: Keys::new(dedupe_window),
        }
    }

    /// A room as the past knows it. A window that does not reach the top without a hole is cut where it has one.
    pub(super) fn restored(
        top: Cursor,
        dedupe_window: Duration,
        records: Vec<Record>,
        keys: Vec<KeyUse>,
        counters: Arc<Counters>,
    ) -> Self {
        let mut state = Self::new(top, dedupe_window, counters);
        for record in records {
            if let Some(target) = deletes(&record.event) {
                state.deleted.add(target, usize::MAX);
            }
            if state.window.back().is_some_and(|last| last.cursor.offset + 1 != record.cursor.offset) {
                state.window.clear();
            }
            if record.cursor.epoch == top.epoch {
                state.window.push(Arc::new(record), usize::MAX);
            }
        }
        if state.window.back().is_some_and(|last| last.cursor != top) {
            tracing::warn!(%top, "window from the past does not reach the room's top, left out");
            state.window.clear();
        }
        for used in keys {
            let known = Known { digest: used.digest, outcome: Outcome::Journaled { id: used.id, cursor: used.cursor } };
            state.keys.add(used.sender, used.key, known, used.at);
        }
        state
    }

    pub(super) fn top(&self) -> Cursor {
        self.top
    }

    pub(super) fn known(&mut self, sender: &UserId, key: &Key, now: Millis) -> Option<Known> {
        self.keys.get(sender, key, now)
    }

    /// Takes a committed record in.
    pub(super) fn push(&mut self, record: Arc<Record>, hot: Hot) {
        let event = &record.event;
        self.top = record.cursor;
        self.window_age = Some(hot.age);
        self.touched = Instant::now();
        if let Some(target) = deletes(event) {
            self.deleted.add(target, hot.events.max(1000));
        }
        let known =
            Known { digest: event.digest.clone(), outcome: Outcome::Journaled { id: event.id, cursor: record.cursor } };
        self.keys.add(event.sender.user.clone(), event.key.clone(), known, now_ms());
        self.window.push(record, hot.events);
    }

    pub(super) fn read(&mut self, range: Range) -> Window {
        self.expire();
        let oldest = self.window.front().map(|record| record.cursor.offset);
        let index = |offset: u64| offset.saturating_sub(oldest.unwrap_or(offset)) as usize;
        let mut bytes = 0;
        let wanted = |record: &&Arc<Record>| {
            let more = bytes < range.bytes;
            bytes += weigh(record);
            more
        };
        let served = |record| self.served(record);
        let records = match (range.reverse, range.since) {
            (false, since) => {
                let from = index(since.map_or(0, |since| since.saturating_add(1)));
                self.window.iter().skip(from).take(range.limit).take_while(wanted).map(served).collect()
            }
            (true, since) => {
                let to = since.map_or(self.window.len(), index).min(self.window.len());
                self.window.iter().take(to).rev().take(range.limit).take_while(wanted).map(served).collect()
            }
        };
        Window { top: self.top, oldest, records }
    }

    pub(super) fn find(&mut self, id: EventId) -> Option<Arc<Record>> {
        self.expire();
        self.window.iter().rev().find(|record| record.event.id == id).map(|record| self.served(record))
    }

    /// Which of these were deleted lately.
    pub(super) fn deleted(&self, ids: &[EventId]) -> HashSet<EventId> {
        ids.iter().copied().filter(|id| self.deleted.has(*id)).collect()
    }

    fn served(&self, record: &Arc<Record>) -> Arc<Record> {
        if self.deleted.has(record.event.id) || edits(&record.event).is_some_and(|target| self.deleted.has(target)) {
            return blanked(record);
        }
        record.clone()
    }

    /// Lets an idle room's window go when its time is over.
    fn expire(&mut self) {
        if self.window_age.is_some_and(|age| self.touched.elapsed() > age) {
            self.window.clear();
            self.deleted = Deleted::default();
        }
    }
}

/// The ids of deleted events, the newest as many as the window has events.
#[derive(Default)]
struct Deleted {
    ids: HashSet<EventId>,
    order: VecDeque<EventId>,
}

impl Deleted {
    fn add(&mut self, id: EventId, max: usize) {
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
        while self.order.len() > max {
            if let Some(oldest) = self.order.pop_front() {
                self.ids.remove(&oldest);
            }
        }
    }

    fn has(&self, id: EventId) -> bool {
        self.ids.contains(&id)
    }
}

/// The keys of the dedupe window.
struct Keys {
    known: HashMap<(UserId, Key), Known>,
    order: VecDeque<(Millis, UserId, Key)>,
    window_ms: Millis,
}

impl Keys {
    fn new(window: Duration) -> Self {
        Self { known: HashMap::new(), order: VecDeque::new(), window_ms: window.as_millis() as Millis }
    }

    /// The first use of a key stays: a later copy in the past does not change what its retries are told.
    fn add(&mut self, sender: UserId, key: Key, known: Known, at: Millis) {
        self.expire(now_ms());
        if let std::collections::hash_map::Entry::Vacant(entry) = self.known.entry((sender.clone(), key.clone())) {
            entry.insert(known);
            self.order.push_back((at + self.window_ms, sender, key));
        }
    }

    fn get(&mut self, sender: &UserId, key: &Key, now: Millis) -> Option<Known> {
        self.expire(now);
        self.known.get(&(sender.clone(), key.clone())).cloned()
    }

    fn expire(&mut self, now: Millis) {
        while self.order.front().is_some_and(|(until, _, _)| *until <= now) {
            if let Some((_, sender, key)) = self.order.pop_front() {
                self.known.remove(&(sender, key));
            }
        }
    }
}
