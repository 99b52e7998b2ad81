//! The way out: every event of the relay to the local listeners of its room, in order and without a gap.
//!
//! The origin hub hears its own events here like every other. Where something was lost on the way, the room is
//! repaired from the timeline before anything later is delivered; where that cannot be done, its listeners are told
//! to come back and recover. Never a silent hole.

pub mod audience;
mod compare;
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
use tokio::sync::watch;
use tokio::time::timeout;

/// The most events that a repair reads; a room that missed more starts over.
const REPAIR_EVENTS_MAX: usize = 10_000;
/// The most bytes of them, roughly: past it, too, a room starts over.
const REPAIR_BYTES_MAX: usize = 4 << 20;
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
    /// Delivers until the relay ends, and a moment longer, if rooms are still being compared.
    pub async fn run(self, mut relay: Receiver<Relay>) {
        let deliverer = Arc::new(self);
        let (compare, asked) = watch::channel(0);
        let mut comparing = tokio::spawn({
            let deliverer = deliverer.clone();
            async move { deliverer.compare_when_asked(asked).await }
        });
        while let Some(heard) = relay.recv().await {
            match heard {
                Relay::Event(record) => deliverer.event(&record).await,
                Relay::Signal(signal) => deliverer.signals.heard(&signal),
                Relay::Compare => compare.send_modify(|times| *times += 1),
            }
        }
        drop(compare);
        if timeout(REPAIR_TIMEOUT, &mut comparing).await.is_err() {
            comparing.abort();
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

    /// Delivers what the timeline has after `last`, or starts the room over.
    async fn repair(&self, room: &Arc<LocalRoom>, last: Cursor) {
        let range =
            Range { since: Some(last.offset), reverse: false, limit: REPAIR_EVENTS_MAX, bytes: REPAIR_BYTES_MAX };
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
    use crate::deliver::audience::LocalAudience;
    use crate::dialect::Dialect;
    use crate::members::Members;
    use crate::outbox::{Drained, Outbox};
    use crate::people::People;
    use crate::room::{JoinRequest, Standing};
    use crate::sanctions::Sanctions;
    use crate::timeline::{Appended, BoxError, Commit, Entry, Memory, MemoryOptions, Past};
    use confab_protocol::{Annotations, Body, Event, EventId, Key, Kind, Millis, Room, Sender, Trail, UserId};
    use confab_store::KeyUse;
    use futures_util::future::BoxFuture;
    use proptest::prelude::*;
    use std::future::{pending, ready};
    use tokio::sync::{Notify, mpsc};

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

    /// A hub's way out with one listener, who has heard everything before this place.
    async fn listening(
        folder: &tempfile::TempDir,
        timeline: Timeline,
        room: &Room,
        next: Cursor,
    ) -> (Deliverer, Arc<Outbox>) {
        let rooms = Arc::new(Rooms::default());
        let outbox = Arc::new(Outbox::new(1 << 20));
        let local = rooms.enter(room);
        let before = Cursor { offset: next.offset - 1, ..next };
        let who = JoinRequest {
            session: 1,
            client: uuid::Uuid::nil(),
            outbox: outbox.clone(),
            dialect: Dialect::NativeJson,
            join_leave: false,
            given: false,
        };
        let ticket = local.join(who);
        local.begin_at(before);
        assert_eq!(local.go_live(1, ticket, before, None), Standing::Live);
        let store = confab_store::Store::sqlite(&folder.path().join("store.db")).await.unwrap();
        let sanctions = Arc::new(Sanctions::new(store.clone(), timeline.clone(), Box::new(|_| ())));
        let people = Arc::new(People::default());
        let audience = LocalAudience { people: people.clone(), rooms: rooms.clone() };
        let members = Arc::new(Members::new(store, timeline.clone(), Box::new(audience)));
        let signals = Arc::new(Signals::new(timeline.clone(), rooms.clone(), people, sanctions, members));
        (Deliverer { rooms, timeline, signals, telemetry: Arc::new(Telemetry::new()) }, outbox)
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
        let (deliverer, outbox) = listening(&folder, timeline, &room, records[0].cursor).await;
        let telemetry = deliverer.telemetry.clone();
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

    /// A past that says nothing of rooms whose name begins with `slow`.
    #[derive(Default)]
    struct Silent {
        asked: Notify,
    }

    impl Commit for Silent {
        fn commit(&self, _: Vec<Arc<Record>>) -> BoxFuture<'_, Result<(), Arc<crate::journal::Error>>> {
            Box::pin(ready(Ok(())))
        }
    }

    impl Past for Silent {
        fn top<'a>(&'a self, room: &'a Room) -> BoxFuture<'a, Result<Option<Cursor>, BoxError>> {
            if !room.as_str().starts_with("slow") {
                return Box::pin(ready(Ok(None)));
            }
            self.asked.notify_one();
            Box::pin(pending())
        }

        fn window<'a>(&'a self, _: &'a Room, _: usize) -> BoxFuture<'a, Result<Vec<Record>, BoxError>> {
            Box::pin(ready(Ok(Vec::new())))
        }

        fn keys<'a>(&'a self, _: &'a Room, _: Millis) -> BoxFuture<'a, Result<Vec<KeyUse>, BoxError>> {
            Box::pin(ready(Ok(Vec::new())))
        }
    }

    #[tokio::test]
    async fn while_many_rooms_are_compared_others_go_on_hearing_what_is_said() {
        let silent = Arc::new(Silent::default());
        let (timeline, _relay) = Memory::open(MemoryOptions::default(), silent.clone(), silent.clone());
        let room = Room::new("lobby").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let first = Cursor::new(MemoryOptions::default().epoch, 1);
        let (deliverer, outbox) = listening(&folder, timeline.clone(), &room, first).await;
        for n in 0..50 {
            deliverer.rooms.enter(&Room::new(format!("slow-{n}")).unwrap()).begin_at(first);
        }
        let (queue, relay) = mpsc::channel(8);
        let delivering = tokio::spawn(deliverer.run(relay));
        queue.send(Relay::Compare).await.unwrap();
        silent.asked.notified().await;
        let Appended::Placed(placed) = timeline.append(&entry(&room, 1)).await.unwrap() else { panic!("placed") };
        queue.send(Relay::Event(placed.record)).await.unwrap();
        timeout(5 * REPAIR_TIMEOUT, outbox.filled())
            .await
            .expect("one room after another would take ten times as long");
        delivering.abort();
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
