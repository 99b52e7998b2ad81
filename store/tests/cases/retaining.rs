//! Retention: what goes, what it takes along, and where pages end then.

use crate::support::*;
use confab_protocol::{Cursor, EventId, Held, HeldState, Kind, Room, Trail};
use confab_store::{Flag, Settled, Store};

/// When the event number `n` is said.
fn at(n: u64) -> u64 {
    message(u128::from(n), (1, 1)).event.at
}

/// Removes what was said before event number `n`; returns how many events, messages and reactions went.
async fn expire(store: &Store, n: u64) -> (u64, u64, u64) {
    let mut all = (0, 0, 0);
    loop {
        let step = store.expire(&room(), at(n)).await.unwrap();
        all = (all.0 + step.events, all.1 + step.messages, all.2 + step.reactions);
        if !step.more {
            return all;
        }
    }
}

pub async fn what_is_too_old_goes_with_all_it_added_up_to_and_pages_end_where_it_was(store: Store) {
    apply(&store, &[message(1, (1, 1)), reaction(2, (1, 2), 1, ":+1:"), message(3, (1, 3)), edit(4, (1, 4), 1)]).await;
    apply(&store, &(5..=1205).map(|n| message(u128::from(n), (1, n))).collect::<Vec<_>>()).await;
    let page = forwards(&store, None, 3).await;
    assert_eq!((places(&page).len(), page.floor), (3, None));

    assert_eq!(expire(&store, 1201).await, (1200, 1198, 1), "in several steps");
    assert_eq!(store.oldest(&room()).await.unwrap(), Some(Cursor::new(1, 1201)));
    assert_eq!(store.contiguous(&room(), 1).await.unwrap(), 1205);
    assert_eq!(store.message(&room(), id(1)).await.unwrap(), None, "nor does anything say what it was");
    let page = backwards(&store, Some((1, 1203)), 100).await;
    assert_eq!((places(&page), page.next), (vec![(1, 1202), (1, 1201)], None));
    assert_eq!(page.floor, Some(Cursor::new(1, 1200)));
    let page = backwards(&store, Some((1, 1201)), 100).await;
    assert_eq!((places(&page), page.next), (vec![], None), "nothing is promised before the floor");
    for since in [None, Some((1, 0)), Some((1, 700))] {
        let page = forwards(&store, since, 2).await;
        assert_eq!((places(&page), page.next), (vec![(1, 1201), (1, 1202)], Some(Cursor::new(1, 1202))));
    }
    assert_eq!(expire(&store, 1201).await, (0, 0, 0));
    let nothing = store.expire(&Room::new("nobody knows").unwrap(), at(9)).await.unwrap();
    assert_eq!((nothing.events, nothing.more), (0, false));
}

pub async fn an_epoch_that_is_over_goes_whole_before_the_next_one_and_offsets_go_on(store: Store) {
    // Place (1, 3) and what came behind (1, 4) were lost with their generation.
    apply(&store, &[message(1, (1, 1)), message(2, (1, 2)), message(4, (1, 4))]).await;
    apply(&store, &[message(5, (2, 1)), message(6, (2, 2)), message(7, (2, 3))]).await;
    assert_eq!(expire(&store, 4).await.0, 2);
    assert_eq!(store.oldest(&room()).await.unwrap(), Some(Cursor::new(1, 3)));
    assert_eq!(expire(&store, 6).await.0, 2);
    assert_eq!(store.oldest(&room()).await.unwrap(), Some(Cursor::new(2, 2)));
    assert_eq!(places(&forwards(&store, None, 100).await), [(2, 2), (2, 3)]);
    let page = backwards(&store, None, 100).await;
    assert_eq!((places(&page), page.next), (vec![(2, 3), (2, 2)], None));
    assert_eq!(expire(&store, 100).await.0, 2, "at last the room is empty");
    assert_eq!(store.oldest(&room()).await.unwrap(), None);
    assert_eq!(store.tops(&room()).await.unwrap(), Some(Cursor::new(2, 3)), "a hub goes on from here");
    assert_eq!(places(&forwards(&store, None, 100).await), []);
    assert_eq!(places(&backwards(&store, None, 100).await), []);
    apply(&store, &[message(8, (2, 4))]).await;
    assert_eq!(places(&forwards(&store, Some((2, 3)), 100).await), [(2, 4)]);
    assert_eq!(places(&backwards(&store, None, 100).await), [(2, 4)]);
}

pub async fn a_replay_of_what_was_removed_stores_nothing(store: Store) {
    let records: Vec<_> = (1..=6).map(|n| message(u128::from(n), (1, n))).collect();
    apply(&store, &records).await;
    assert_eq!(expire(&store, 5).await.0, 4);
    let mut again = records.clone();
    again.push(message(7, (1, 7)));
    let applied = apply(&store, &again).await;
    assert_eq!((applied.events, applied.copies, applied.duplicates), (1, 6, 0));
    assert_eq!(places(&forwards(&store, None, 100).await), [(1, 5), (1, 6), (1, 7)]);
    assert_eq!(apply(&store, &records[..2]).await.copies, 2);
    assert_eq!(store.message(&room(), id(1)).await.unwrap(), None);
}

pub async fn words_about_a_message_that_is_gone_go_with_their_own_age(store: Store) {
    apply(&store, &[message(1, (1, 1)), message(2, (1, 2))]).await;
    assert_eq!(expire(&store, 2).await, (1, 1, 0));
    apply(&store, &[edit(3, (1, 3), 1), reaction(4, (1, 4), 1, ":+1:"), reaction(5, (1, 5), 2, ":+1:")]).await;
    assert_eq!(store.message(&room(), id(1)).await.unwrap(), None, "an edit of what is gone brings nothing back");
    let (events, messages, reactions) = expire(&store, 100).await;
    assert_eq!((events, messages, reactions), (4, 2, 2), "nothing is left to wait for it");
}

pub async fn a_young_event_keeps_what_comes_after_it(store: Store) {
    // The clock of the hub that placed the second was ahead.
    apply(&store, &[message(1, (1, 1)), message(9, (1, 2)), message(2, (1, 3)), message(3, (1, 5))]).await;
    assert_eq!(expire(&store, 5).await.0, 1);
    assert_eq!(places(&forwards(&store, None, 100).await), [(1, 2), (1, 3)], "no page has a hole");
    assert_eq!(expire(&store, 100).await.0, 2, "what is behind a place that may still be filled stays");
    apply(&store, &[message(4, (1, 4))]).await;
    assert_eq!(places(&forwards(&store, None, 100).await), [(1, 4), (1, 5)]);
}

pub async fn rooms_keep_as_long_as_each_is_told_to(store: Store) {
    let rooms = ["a", "b", "c"];
    for room in rooms {
        let said: Vec<_> = (1..=4).map(|n| message(u128::from(n), (1, n)).room(room)).collect();
        apply(&store, &said).await;
    }
    let before = |room: &Room| match room.as_str() {
        "a" => Some(at(3)),
        "b" => None,
        _ => Some(at(4)),
    };
    let mut removed = Vec::new();
    let oldest = store.expire_all(before, |table, rows| removed.push((table, rows))).await.unwrap();
    assert_eq!(removed, [("events", 2), ("messages", 2), ("events", 3), ("messages", 3)]);
    assert_eq!(oldest, Some(at(3)), "of those that remove anything");
    let begin = |room: &str| {
        let room = Room::new(room).unwrap();
        let store = store.clone();
        async move { store.oldest(&room).await.unwrap().map(|place| place.offset) }
    };
    assert_eq!([begin("a").await, begin("b").await, begin("c").await], [Some(3), Some(1), Some(4)]);
}

pub async fn what_moderators_are_done_with_goes_and_what_waits_stays(store: Store) {
    for n in 1..=3 {
        let event = record(Kind::Message, n, (1, 1)).event;
        let held = Held {
            event,
            plugin: "words".into(),
            reason: "look".into(),
            trail: Trail::default(),
            held_at: 1000,
            state: HeldState::Waiting,
            says: Vec::new(),
        };
        store.hold(&held, 100).await.unwrap();
        let flag = Flag {
            event: id(n),
            n: 0,
            room: room(),
            sender: user("ada"),
            plugin: "words".into(),
            reason: "look".into(),
            at: 1000,
            said: None,
            closed: None,
        };
        store.flag(&flag, 100).await.unwrap();
    }
    store.decide(id(1), HeldState::Approved, "mia", None).await.unwrap().unwrap();
    store.decide(id(2), HeldState::Denied, "mia", None).await.unwrap().unwrap();
    store.close_flags(id(1), "mia", None, 3000).await.unwrap();
    store.close_flags(id(2), "mia", None, 5000).await.unwrap();
    let from = (0, EventId(uuid::Uuid::nil()));
    let expire = async |what, before| store.expire_settled(what, from, |_| before).await.unwrap();
    assert_eq!(expire(Settled::Held, Some(2000)).await, (0, None), "it was decided later than that");
    assert_eq!(expire(Settled::Held, None).await, (0, None), "its room keeps everything");
    assert_eq!(expire(Settled::Held, Some(u64::MAX)).await, (2, None));
    assert_eq!(store.held_one(id(1)).await.unwrap(), None);
    assert!(store.held_one(id(3)).await.unwrap().is_some(), "nobody has looked at it");
    assert_eq!(expire(Settled::Flags, Some(4000)).await, (1, None));
    let closed = store.flags(false, None, 10).await.unwrap();
    assert_eq!(closed.iter().map(|flag| flag.event).collect::<Vec<_>>(), [id(2)]);
    assert_eq!(store.flags(true, None, 10).await.unwrap().len(), 1);
}
