//! A room's last events in memory, and how many bytes they take, alone and with those of all rooms.

use super::super::{Counters, WINDOW_BYTES_MAX, weigh};
use confab_protocol::Record;
use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The events, from old to new.
pub(super) struct EventWindow {
    records: VecDeque<Arc<Record>>,
    bytes: usize,
    counters: Arc<Counters>,
}

impl EventWindow {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { records: VecDeque::new(), bytes: 0, counters }
    }

    /// Adds an event; the oldest go until no more are left than so many, and no more bytes than a window may have. The newest
    /// stays, however large it is, unless none may.
    pub(super) fn push(&mut self, record: Arc<Record>, events_max: usize) {
        let bytes = weigh(&record);
        self.bytes += bytes;
        self.counters.window_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.records.push_back(record);
        while self.records.len() > events_max || (self.records.len() > 1 && self.bytes > WINDOW_BYTES_MAX) {
            let Some(oldest) = self.records.pop_front() else { return };
            let bytes = weigh(&oldest);
            self.bytes -= bytes;
            self.counters.window_bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
        }
    }

    pub(super) fn clear(&mut self) {
        self.counters.window_bytes.fetch_sub(self.bytes as u64, Ordering::Relaxed);
        self.bytes = 0;
        self.records = VecDeque::new();
    }
}

impl Deref for EventWindow {
    type Target = VecDeque<Arc<Record>>;

    fn deref(&self) -> &Self::Target {
        &self.records
    }
}

impl Drop for EventWindow {
    fn drop(&mut self) {
        self.clear();
    }
}
