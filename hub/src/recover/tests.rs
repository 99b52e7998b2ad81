//! The edges of every range: before the first event, after the last, in an epoch in which nothing has happened, from the
//! hot window and from the store.

use super::*;
use crate::timeline::{Entry, Memory, MemoryOptions};
use confab_protocol::{Annotations, Body, Epoch, Event, EventId, Key, Kind, Sender, Trail, UserId};
use std::time::Duration;

/// The epoch that is over, and the one that goes on.
const OLD: u64 = 3;
const NEW: u64 = 5;

struct World {
    recoverer: Recoverer,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::sqlite(&folder.path().join("store.db")).await.unwrap();
        store.migrate().await.unwrap();
        let options = MemoryOptions { epoch: NEW, ..MemoryOptions::default() };
        let (timeline, _) = Memory::empty(options);
        let recoverer = Recoverer {
            timeline,
            store,
            rooms: Arc::default(),
            limits: Limits::default(),
            rules: RoomRules::default(),
            telemetry: Arc::default(),
            cached: CacheBytes::default(),
            background: Background::default(),
            bringing: Arc::new(Semaphore::new(BRINGING_AT_ONCE)),
            reading: Semaphore::new(1),
        };
        Self { recoverer, _folder: folder }
    }

    /// So many events of the epoch that is over, in the store.
    async fn stored(&self, count: u64) {
        let entries: Vec<_> = (1..=count).map(|n| record(Cursor::new(OLD, n))).map(Arc::new).collect();
        let entries: Vec<_> = entries.into_iter().map(confab_store::Entry::Record).collect();
        self.recoverer.store.apply(&entries, &[]).await.unwrap();
    }

    /// So many events now; the window keeps two, and the store has those before them.
    async fn said(&self, count: u64) {
        for n in 1..=count {
            let record = record(Cursor::new(NEW, n));
            let entry = Entry {
                event: record.event.clone(),
                trail: Trail::default(),
                window_events: 2,
                window_age: Duration::from_secs(60),
            };
            self.recoverer.timeline.append(&entry).await.unwrap();
            if n + 2 <= count {
                self.recoverer.store.apply(&[confab_store::Entry::Record(Arc::new(record))], &[]).await.unwrap();
            }
        }
    }

    /// The places of a page, or why there is none; and where to go on.
    async fn page(&self, since: Option<(u64, u64)>, reverse: bool, limit: usize) -> (Vec<(u64, u64)>, Option<Cursor>) {
        let since = since.map(|(epoch, offset)| Since { epoch: Some(Epoch(epoch)), offset });
        let page = self.recoverer.read(&room(), Asked { since, reverse, limit, bytes: usize::MAX }).await;
        let page = page.unwrap_or_else(|refusal| panic!("{since:?}, reverse: {reverse}: {refusal:?}"));
        (page.records.iter().map(|one| (one.cursor.epoch.0, one.cursor.offset)).collect(), page.next)
    }

    /// Everything before or after a place, page by page.
    async fn all(&self, since: Option<(u64, u64)>, reverse: bool, limit: usize) -> Vec<(u64, u64)> {
        let mut since = since;
        let mut all = Vec::new();
        for _ in 0..100 {
            let (places, next) = self.page(since, reverse, limit).await;
            all.extend(places);
            match next {
                Some(next) => since = Some((next.epoch.0, next.offset)),
                None => return all,
            }
        }
        panic!("paging does not end: {all:?}");
    }
}

fn room() -> Room {
    Room::new("lobby").unwrap()
}

fn record(cursor: Cursor) -> Record {
    let event = Event {
        kind: Kind::Message,
        id: EventId::fresh(),
        room: room(),
        sender: Sender { user: UserId::new("ada").unwrap(), client: None, info: None },
        key: Key::fresh(),
        digest: "d".into(),
        at: 1,
        body: Body::of(&cursor.offset),
        target: None,
        thread: None,
        annotations: Annotations::new(),
    };
    Record { event, cursor, trail: Trail::default() }
}

fn places(epoch: u64, offsets: impl IntoIterator<Item = u64>) -> Vec<(u64, u64)> {
    offsets.into_iter().map(|offset| (epoch, offset)).collect()
}

#[tokio::test]
async fn an_empty_room_has_empty_pages_both_ways() {
    let world = World::new().await;
    for reverse in [false, true] {
        for since in [None, Some((NEW, 0)), Some((OLD, 0)), Some((OLD, 7)).filter(|_| !reverse)] {
            for limit in [0, 1, 50] {
                assert_eq!(world.page(since, reverse, limit).await, (vec![], None), "{since:?} {reverse} {limit}");
            }
        }
    }
}

#[tokio::test]
async fn nothing_comes_before_the_first_event_nor_after_the_last() {
    let world = World::new().await;
    for said in [1, 2, 6] {
        let world = World::new().await;
        world.said(said).await;
        assert_eq!(world.page(Some((NEW, 0)), true, 50).await, (vec![], None));
        assert_eq!(world.page(Some((NEW, 1)), true, 50).await, (vec![], None));
        assert_eq!(world.page(Some((NEW, said)), false, 50).await, (vec![], None));
        for limit in [1, 2, 3, 50] {
            assert_eq!(world.all(None, true, limit).await, places(NEW, (1..=said).rev()), "{limit}");
            assert_eq!(world.all(Some((NEW, said)), true, limit).await, places(NEW, (1..said).rev()), "{limit}");
            assert_eq!(world.all(Some((NEW, 0)), false, limit).await, places(NEW, 1..=said), "{limit}");
        }
    }
    world.said(3).await;
    let past = Asked { since: Some(Since { epoch: None, offset: 4 }), reverse: true, limit: 5, bytes: usize::MAX };
    assert_eq!(world.recoverer.read(&room(), past).await.unwrap_err(), Refusal::UnrecoverablePosition);
}

#[tokio::test]
async fn what_was_deleted_lately_is_blank_in_pages_of_a_store_that_does_not_know_it_yet() {
    let world = World::new().await;
    world.said(6).await; // the store has four of them, the window the last two
    let first = world
        .recoverer
        .store
        .page(&room(), Query { since: None, reverse: false, limit: 1, bytes: usize::MAX, stored_before: 0 })
        .await
        .unwrap();
    let mut event = record(Cursor::new(NEW, 7)).event;
    (event.kind, event.target) = (Kind::Delete, Some(first.records[0].event.id));
    let entry = Entry { event, trail: Trail::default(), window_events: 2, window_age: Duration::from_secs(60) };
    world.recoverer.timeline.append(&entry).await.unwrap();

    let blank = |records: &[Arc<Record>]| records.iter().map(|one| one.event.body.is_null()).collect::<Vec<_>>();
    for reverse in [false, true] {
        let since = Some(Since { epoch: None, offset: if reverse { 3 } else { 0 } });
        let page = world.recoverer.read(&room(), Asked { since, reverse, limit: 2, bytes: usize::MAX }).await.unwrap();
        assert_eq!(blank(&page.records), if reverse { [false, true] } else { [true, false] }, "{reverse}");
    }
    let local = world.recoverer.rooms.enter(&room());
    let pages::Next::Events(page, range) = world.recoverer.next(&local, Cursor::new(NEW, 0)).await.unwrap() else {
        panic!("the store has what follows");
    };
    assert_eq!(blank(&page.records[range])[..2], [true, false], "also in what a client that comes back is given");
}

#[tokio::test]
async fn an_epoch_that_is_over_lies_before_one_in_which_nothing_or_something_has_happened() {
    for (stored, said) in [(0, 0), (4, 0), (4, 1), (4, 5)] {
        let world = World::new().await;
        world.stored(stored).await;
        world.said(said).await;
        let old = places(OLD, 1..=stored);
        let whole: Vec<_> = old.iter().copied().chain(places(NEW, 1..=said)).collect();
        let back: Vec<_> = whole.iter().rev().copied().collect();
        for limit in [1, 3, 50] {
            assert_eq!(world.all(None, true, limit).await, back, "{stored} {said} {limit}");
            assert_eq!(world.all(Some((NEW, 0)), true, limit).await, old.iter().rev().copied().collect::<Vec<_>>());
            for edge in [(OLD, 0), (OLD, 1)] {
                assert_eq!(world.all(Some(edge), true, limit).await, [], "{edge:?}");
            }
            if said != 1 {
                assert_eq!(world.all(Some((OLD, 0)), false, limit).await, whole, "{stored} {said} {limit}");
            }
        }
    }
}

#[tokio::test]
async fn a_page_of_messages_has_the_edit_that_the_store_lacks_or_says_that_events_are_missing() {
    let world = World::new().await;
    world.said(5).await; // the window has 4 and 5, the store 1 to 3
    let all = Asked { since: None, reverse: true, limit: 5, bytes: usize::MAX };
    let said = world.recoverer.read(&room(), all).await.unwrap().records; // from new to old
    let mut edit = record(Cursor::new(NEW, 6)).event;
    edit.kind = Kind::Edit;
    edit.target = Some(said[4].event.id);
    edit.body = Body::of(&"edited");
    let age = Duration::from_secs(60);
    let entry = Entry { event: edit, trail: Trail::default(), window_events: 2, window_age: age };
    world.recoverer.timeline.append(&entry).await.unwrap();
    let asked =
        Asked { since: Some(Since { epoch: Some(Epoch(NEW)), offset: 4 }), reverse: true, limit: 2, bytes: usize::MAX };
    let behind = world.recoverer.folded(&room(), asked).await;
    assert!(matches!(behind, Err(Refusal::HistoryBehind)), "4 is neither in the store nor in the window: {behind:?}");

    let fourth = confab_store::Entry::Record(said[1].clone());
    world.recoverer.store.apply(&[fourth], &[]).await.unwrap();
    let page = world.recoverer.folded(&room(), asked).await.unwrap();
    assert_eq!((page.as_of, page.through), (Cursor::new(NEW, 6), Some(Cursor::new(NEW, 4))));
    let places: Vec<u64> = page.messages.iter().map(|one| one.cursor.offset).collect();
    assert_eq!((places, page.next), (vec![3, 2], Some(Cursor::new(NEW, 2))));

    let since = page.next.map(|next| Since { epoch: Some(next.epoch), offset: next.offset });
    let last = world.recoverer.folded(&room(), Asked { since, ..asked }).await.unwrap();
    assert_eq!(last.messages[0].body.as_str(), "\"edited\"", "the store has the edit not yet, and the page has it");
    assert_eq!((last.messages.len(), last.messages[0].edited_at.is_some(), last.next), (1, true, None));
}

#[tokio::test]
async fn pages_end_where_retention_has_emptied_a_room_and_say_so() {
    let world = World::new().await;
    world.stored(3).await;
    world.said(6).await; // the window has 5 and 6, the store 1 to 4
    let removed = world.recoverer.store.expire(&room(), 2).await.unwrap();
    assert!((removed.events, removed.more) == (3, true), "the epoch that is over goes first");
    let begins = |epoch, offset| Some(Cursor::new(epoch, offset));
    let read = async |since: Option<(u64, u64)>, reverse| {
        let since = since.map(|(epoch, offset)| Since { epoch: Some(Epoch(epoch)), offset });
        let page = world.recoverer.read(&room(), Asked { since, reverse, limit: 50, bytes: usize::MAX }).await.unwrap();
        let places: Vec<_> = page.records.iter().map(|one| (one.cursor.epoch.0, one.cursor.offset)).collect();
        (places, page.next, page.oldest)
    };
    assert_eq!(read(Some((OLD, 1)), false).await, (places(NEW, 1..=4), Some(Cursor::new(NEW, 4)), begins(OLD, 4)));
    assert_eq!(read(Some((NEW, 0)), false).await, (places(NEW, 1..=4), Some(Cursor::new(NEW, 4)), None));

    assert_eq!(world.recoverer.store.expire(&room(), 2).await.unwrap().events, 4);
    assert_eq!(
        world.all(None, true, 50).await,
        places(NEW, [6, 5]),
        "the window has nothing that is too old by its rules"
    );
    for since in [(NEW, 5), (NEW, 3), (OLD, 2)] {
        assert_eq!(read(Some(since), true).await, (vec![], None, begins(NEW, 5)), "{since:?}");
    }
    assert_eq!(world.all(Some((NEW, 2)), false, 50).await, places(NEW, [5, 6]));
}
