//! The way out: every event of the relay to the local listeners of its room, in order and without a gap.
//!
//! The origin hub hears its own events here like every other. Where something was lost on the way, the room is
//! repaired from the timeline before anything later is delivered; where that cannot be done, its listeners are told
//! to come back and recover. Never a silent hole.

use crate::room::{Heard, LocalRoom, Rooms};
use crate::telemetry::Telemetry;
use crate::timeline::{Range, Relay, Timeline};
use confab_protocol::{Cursor, Record};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// The most events that a repair reads; a room that missed more starts over.
const REPAIR_EVENTS_MAX: usize = 10_000;
/// How long a repair may take.
const REPAIR_TIMEOUT: Duration = Duration::from_secs(2);

/// Brings the relay's events to the rooms.
pub struct Deliverer {
    /// Where sessions listen.
    pub rooms: Arc<Rooms>,
    /// Where missing events are found.
    pub timeline: Timeline,
    /// Counts.
    pub telemetry: Arc<Telemetry>,
}

impl Deliverer {
    /// Delivers until the relay ends.
    pub async fn run(self, mut relay: Receiver<Relay>) {
        while let Some(heard) = relay.recv().await {
            match heard {
                Relay::Event(record) => self.event(&record).await,
                Relay::Passage(passage) => {
                    if let Some(room) = self.rooms.get(&passage.room) {
                        room.announce(&passage);
                    }
                }
                Relay::Compare => self.compare().await,
            }
        }
    }

    async fn event(&self, record: &Arc<Record>) {
        let Some(room) = self.rooms.get(&record.event.room) else { return };
        match room.hear(record) {
            Heard::Delivered => _ = self.telemetry.delivered.inc_by(room.listeners() as u64),
            Heard::Old => {}
            Heard::Gap(last) => {
                tracing::warn!(room = %room.name, %last, next = %record.cursor, "gap in a room, repairing");
                self.repair(&room, last).await;
            }
        }
    }

    /// Something may have been lost anywhere: every room is compared by offset.
    async fn compare(&self) {
        let rooms = self.rooms.all();
        tracing::info!(rooms = rooms.len(), "comparing every room with the timeline");
        for room in rooms {
            if let Some(last) = room.heard() {
                self.repair(&room, last).await;
            }
        }
    }

    /// Delivers what the timeline has after `last`, or starts the room over.
    async fn repair(&self, room: &Arc<LocalRoom>, last: Cursor) {
        let range = Range { since: Some(last.offset), reverse: false, limit: REPAIR_EVENTS_MAX };
        let read = timeout(REPAIR_TIMEOUT, self.timeline.read(&room.name, range)).await;
        let window = match read {
            Ok(Ok(window)) => window,
            Ok(Err(error)) => {
                tracing::warn!(room = %room.name, %error, "could not compare a room, its listeners come back");
                return self.start_over(room, last);
            }
            Err(_) => {
                tracing::warn!(room = %room.name, "the timeline did not answer in time, listeners come back");
                return self.start_over(room, last);
            }
        };
        if window.top == last {
            return;
        }
        let whole = window.top.epoch == last.epoch
            && window.top.offset >= last.offset
            && window.records.len() as u64 == window.top.offset - last.offset;
        if !whole {
            tracing::warn!(room = %room.name, %last, top = %window.top, "cannot repair a room, its listeners come back");
            return self.start_over(room, window.top);
        }
        self.telemetry.gaps_repaired.inc();
        for record in &window.records {
            if room.hear(record) == Heard::Delivered {
                self.telemetry.delivered.inc_by(room.listeners() as u64);
            }
        }
    }

    fn start_over(&self, room: &LocalRoom, place: Cursor) {
        self.telemetry.rooms_started_over.inc();
        room.start_over(place);
    }
}
