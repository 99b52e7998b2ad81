//! The way out: every event of the relay to the local listeners of its room, in order and without a gap.
//!
//! The origin hub hears its own events here like every other. Where something was lost on the way, the room is
//! repaired from the timeline before anything later is delivered; where that cannot be done, its listeners are told
//! to come back and recover. Never a silent hole.

mod expel;

pub use expel::expel;

use crate::room::{Heard, LocalRoom, Rooms};
use crate::signals::Signals;
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
    /// Told what is of the moment.
    pub signals: Arc<Signals>,
    /// Counts.
    pub telemetry: Arc<Telemetry>,
}

impl Deliverer {
    /// Delivers until the relay ends.
    pub async fn run(self, mut relay: Receiver<Relay>) {
        while let Some(heard) = relay.recv().await {
            match heard {
                Relay::Event(record) => self.event(&record).await,
                Relay::Signal(signal) => self.signals.heard(&signal),
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
        let range = Range { since: Some(last.offset), reverse: false, limit: REPAIR_EVENTS_MAX, bytes: usize::MAX };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use crate::outbox::{Drained, Outbox};
    use crate::room::{JoinRequest, Standing};
    use crate::sanctions::Sanctions;
    use crate::timeline::{Appended, Entry, Memory, MemoryOptions};
    use confab_protocol::{Annotations, Body, Event, EventId, Key, Kind, Room, Sender, Trail, UserId};
    use proptest::prelude::*;
    use tokio::sync::mpsc;

    fn entry(room: &Room, n: u64) -> Entry {
        let event = Event {
            kind: Kind::Message,
            id: EventId::fresh(),
            room: room.clone(),
            sender: Sender { user: UserId::new("ada").unwrap(), client: None, info: None },
            key: Key::new(n.to_string()).unwrap(),
            digest: String::new(),
            at: 0,
            body: Body::of(&n),
            target: None,
            thread: None,
            annotations: Annotations::new(),
        };
        Entry { event, trail: Trail::default(), window_events: 100, window_age: Duration::from_secs(60) }
    }

    /// What a listener is told when a hub hears these offsets of a room that has nine events; 0 is a comparison.
    async fn told(offsets: &[u64]) -> (Vec<u64>, u64) {
        let folder = tempfile::tempdir().unwrap();
        let (timeline, _relay) = Memory::empty(MemoryOptions::default());
        let room = Room::new("lobby").unwrap();
        let mut records = Vec::new();
        for n in 1..=9 {
            let Appended::Placed(placed) = timeline.append(&entry(&room, n)).await.unwrap() else { panic!("placed") };
            records.push(placed.record);
        }
        let rooms = Arc::new(Rooms::default());
        let outbox = Arc::new(Outbox::new(1 << 20));
        let local = rooms.enter(&room);
        let before = Cursor { offset: 0, ..records[0].cursor };
        let dialect = Dialect::NativeJson;
        let who = JoinRequest {
            session: 1,
            client: uuid::Uuid::nil(),
            outbox: outbox.clone(),
            dialect,
            join_leave: false,
            given: false,
        };
        let ticket = local.join(who);
        local.begin_at(before);
        assert_eq!(local.go_live(1, ticket, before, None), Standing::Live);
        let telemetry = Arc::new(Telemetry::new());
        let store = confab_store::Store::sqlite(&folder.path().join("store.db")).await.unwrap();
        let sanctions = Arc::new(Sanctions::new(store, timeline.clone(), Box::new(|_| ())));
        let signals = Arc::new(Signals::new(timeline.clone(), rooms.clone(), Arc::default(), sanctions));
        let deliverer = Deliverer { rooms, timeline, signals, telemetry: telemetry.clone() };
        let (queue, relay) = mpsc::channel(offsets.len().max(1));
        for offset in offsets {
            let at = (*offset as usize).checked_sub(1);
            queue.send(at.map_or(Relay::Compare, |at| Relay::Event(records[at].clone()))).await.unwrap();
        }
        drop(queue);
        deliverer.run(relay).await;
        let mut frames = Vec::new();
        assert!(matches!(outbox.drain(&mut frames), Drained::Frames));
        let offset = |frame: &crate::outbox::Frame| {
            let crate::outbox::Frame::Text(text) = frame else { panic!("JSON is text") };
            serde_json::from_str::<serde_json::Value>(text).unwrap()["push"]["pub"]["offset"].as_u64().unwrap()
        };
        (frames.iter().map(offset).collect(), telemetry.gaps_repaired.get())
    }

    #[tokio::test]
    async fn what_was_lost_on_the_way_is_fetched_before_anything_later_is_delivered() {
        assert_eq!(told(&[1, 2, 3]).await, (vec![1, 2, 3], 0));
        // The repair brings all that there is; what it brought is not heard a second time.
        assert_eq!(told(&[1, 3, 4, 5]).await, ((1..=9).collect(), 1));
        assert_eq!(told(&[2]).await, ((1..=9).collect(), 1));
        assert_eq!(told(&[1, 2, 2, 1, 3]).await, (vec![1, 2, 3], 0), "what is old is passed over");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_is_lost_doubled_or_late_listeners_hear_each_event_once_and_in_order(
            mut offsets in prop::collection::vec(0..=9_u64, 0..24),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let (heard, _) = runtime.block_on(told(&offsets));
            let last = heard.last().copied().unwrap_or(0);
            prop_assert_eq!(&heard, &(1..=last).collect::<Vec<_>>());
            prop_assert!(offsets.iter().all(|offset| *offset <= last), "what was heard is given");
            offsets.push(0);
            prop_assert_eq!(runtime.block_on(told(&offsets)).0, (1..=9).collect::<Vec<_>>(), "a comparison finds the rest");
        }
    }
}
