//! What both back-ends promise.

use crate::ledger::Ledger;
use crate::world::{World, act, entry, eventually, journaled, key, offsets, pending, redis_options, room, user};
use confab_hub::timeline::{Appended, Entry, Known, MemoryOptions, Outcome, Range, Relay, Settled, WINDOW_BYTES_MAX};
use confab_protocol::{EventId, Kind, Refusal};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

macro_rules! contract {
    ($($claim:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $claim() {
                super::$claim(super::World::memory().await).await;
            })*
        }
        mod redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $claim() {
                super::$claim(super::World::redis().await).await;
            })*
        }
        mod cluster {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $claim() {
                super::$claim(super::World::cluster().await).await;
            })*
        }
    };
}
pub(crate) use contract;

contract!(
    fifty_appenders_in_five_rooms_leave_no_gap_and_are_heard_in_order,
    a_key_sent_by_twenty_at_once_gets_one_place,
    a_known_key_is_known_whatever_the_draft,
    a_key_belongs_to_its_room_and_sender,
    a_refusal_is_remembered_and_does_not_replace_what_stands,
    a_refusal_about_the_moment_is_not_remembered,
    the_window_keeps_as_many_events_as_it_should,
    the_window_holds_no_more_bytes_than_it_may,
    an_idle_window_goes_and_the_offsets_stay,
    a_window_is_read_from_both_ends,
    a_read_ends_where_its_bytes_are_spent,
    a_deleted_body_is_served_nowhere,
    what_was_deleted_is_known_when_the_window_has_passed_it,
    an_event_is_found_by_its_id_while_the_window_holds_it,
    a_room_that_was_left_is_silent,
    a_closed_timeline_takes_nothing,
);

async fn fifty_appenders_in_five_rooms_leave_no_gap_and_are_heard_in_order(mut world: World) {
    for name in 0..5 {
        world.timeline.subscribe(&room(&format!("room {name}"))).await.unwrap();
    }
    let mut appenders = JoinSet::new();
    for appender in 0..50 {
        let timeline = world.timeline.clone();
        appenders.spawn(async move {
            for n in 0..10 {
                let entry = entry(&format!("room {}", n % 5), &format!("{appender}/{n}"), "hi");
                let Appended::Placed(_) = timeline.append(&entry).await.unwrap() else { panic!("the key is known") };
            }
        });
    }
    while let Some(done) = appenders.join_next().await {
        done.unwrap();
    }
    let mut heard: HashMap<String, Vec<u64>> = HashMap::new();
    for _ in 0..500 {
        let record = world.hears().await;
        heard.entry(record.event.room.to_string()).or_default().push(record.cursor.offset);
    }
    assert_eq!(heard.len(), 5);
    for (name, heard) in heard {
        assert_eq!(heard, (1..=100).collect::<Vec<u64>>(), "{name}");
        let window = world.read(&name, None, false, 1000).await;
        assert_eq!((window.top.offset, offsets(&window)), (100, heard), "{name}");
    }
}

async fn a_key_sent_by_twenty_at_once_gets_one_place(world: World) {
    let mut senders = JoinSet::new();
    for _ in 0..20 {
        let timeline = world.timeline.clone();
        senders.spawn(async move { timeline.append(&entry("team", "same", "hi")).await.unwrap() });
    }
    let (mut placed, mut known) = (Vec::new(), Vec::new());
    while let Some(sent) = senders.join_next().await {
        match sent.unwrap() {
            Appended::Placed(one) => placed.push((one.record.event.id, one.record.cursor)),
            Appended::Known(Known { outcome: Outcome::Pending { id, cursor }, .. })
            | Appended::Known(Known { outcome: Outcome::Journaled { id, cursor }, .. }) => known.push((id, cursor)),
            Appended::Known(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((placed.len(), known.len()), (1, 19));
    assert!(known.iter().all(|known| *known == placed[0]), "everyone is told of the same place");
    assert_eq!(world.read("team", None, false, 10).await.top.offset, 1);
    assert_eq!(world.timeline.counters().known_keys.load(std::sync::atomic::Ordering::Relaxed), 19);
}

async fn a_known_key_is_known_whatever_the_draft(world: World) {
    let first = world.publish(&entry("team", "k", "first")).await;
    let known = world.known(&entry("team", "k", "another")).await;
    assert_eq!(known.digest, first.event.digest, "the digest tells that it was another draft");
    assert_eq!(journaled(&known), (first.event.id, first.cursor));
    let looked_up = world.timeline.lookup(&room("team"), &user("ada"), &key("k")).await.unwrap();
    assert_eq!(looked_up, Some(known));
}

async fn a_key_belongs_to_its_room_and_sender(world: World) {
    world.publish(&entry("team", "k", "hi")).await;
    assert_eq!(world.publish(&entry("other", "k", "hi")).await.cursor.offset, 1);
    let mut bob = entry("team", "k", "hi");
    bob.event.sender.user = user("bob");
    assert_eq!(world.publish(&bob).await.cursor.offset, 2);
    let strange = world.timeline.lookup(&room("team"), &user("eve"), &key("k")).await.unwrap();
    assert_eq!(strange, None);
}

async fn a_refusal_is_remembered_and_does_not_replace_what_stands(world: World) {
    let (team, ada, k) = (room("team"), user("ada"), key("k"));
    let refusal = Refusal::Plugin { code: 451, reason: "no spam".into(), details: None };
    assert_eq!(world.timeline.remember(&team, &ada, &k, "d", &refusal).await.unwrap(), None);

    let expected = Known { digest: "d".into(), outcome: Outcome::Refused(refusal.clone()) };
    assert_eq!(world.timeline.lookup(&team, &ada, &k).await.unwrap(), Some(expected.clone()));
    assert_eq!(world.known(&entry("team", "k", "hi")).await, expected);
    let other = Refusal::Held { id: EventId::fresh(), reason: "look".into() };
    assert_eq!(world.timeline.remember(&team, &ada, &k, "e", &other).await.unwrap(), Some(expected));

    let stands = world.publish(&entry("team", "stands", "hi")).await;
    let told = world.timeline.remember(&team, &ada, &key("stands"), "d", &refusal).await.unwrap().unwrap();
    assert_eq!(journaled(&told), (stands.event.id, stands.cursor));
}

async fn a_refusal_about_the_moment_is_not_remembered(world: World) {
    let (team, ada, k) = (room("team"), user("ada"), key("k"));
    for refusal in [Refusal::TooManyRequests { retry_after_ms: 1 }, Refusal::Draining, Refusal::JournalUnavailable] {
        assert_eq!(world.timeline.remember(&team, &ada, &k, "d", &refusal).await.unwrap(), None);
    }
    assert_eq!(world.timeline.lookup(&team, &ada, &k).await.unwrap(), None);
}

async fn the_window_keeps_as_many_events_as_it_should(world: World) {
    let nothing = world.read("team", None, false, 10).await;
    assert_eq!((nothing.top.offset, nothing.oldest, nothing.records.len()), (0, None, 0));
    for n in 1..=15 {
        let mut entry = entry("team", &n.to_string(), "hi");
        entry.window_events = 10;
        world.publish(&entry).await;
    }
    let window = world.read("team", None, false, 100).await;
    assert_eq!((window.top.offset, window.oldest), (15, Some(6)));
    assert_eq!(offsets(&window), (6..=15).collect::<Vec<_>>());
    let mut narrower = entry("team", "16", "hi");
    narrower.window_events = 3;
    world.publish(&narrower).await;
    assert_eq!(offsets(&world.read("team", None, false, 100).await), [14, 15, 16]);
}

async fn the_window_holds_no_more_bytes_than_it_may(world: World) {
    let say = async |n: u64, text: &str| {
        let mut said = Entry { window_events: 100, ..entry("team", &n.to_string(), text) };
        said.event.digest = "short".into();
        world.publish(&said).await;
    };
    let large = "x".repeat(1 << 20);
    for n in 1..=20 {
        say(n, &large).await;
    }
    let fit = (WINDOW_BYTES_MAX / (1 << 20) - 1) as u64; // and names beside each text
    let window = world.read("team", None, false, 100).await;
    assert_eq!((window.top.offset, offsets(&window)), (20, (21 - fit..=20).collect()));
    for n in 21..=130 {
        say(n, "small").await;
    }
    assert_eq!(offsets(&world.read("team", None, false, 200).await), (31..=130).collect::<Vec<_>>());
    say(131, &"x".repeat(9 << 20)).await;
    assert_eq!(offsets(&world.read("team", None, false, 200).await), [131], "the newest is there, however large it is");
}

async fn an_idle_window_goes_and_the_offsets_stay(world: World) {
    let mut short = entry("team", "1", "hi");
    short.window_age = Duration::from_millis(50);
    world.publish(&short).await;
    eventually("the window goes", async || world.read("team", None, false, 9).await.oldest.is_none().then_some(()))
        .await;
    let window = world.read("team", None, false, 10).await;
    assert_eq!((window.top.offset, window.records.len()), (1, 0));
    assert_eq!(world.publish(&entry("team", "2", "hi")).await.cursor.offset, 2);
    let window = world.read("team", None, false, 10).await;
    assert_eq!((window.oldest, offsets(&window)), (Some(2), vec![2]));
}

async fn a_window_is_read_from_both_ends(world: World) {
    for n in 1..=10 {
        let mut entry = entry("team", &n.to_string(), &format!("text {n}"));
        entry.window_events = 8;
        world.publish(&entry).await;
    }
    for (since, reverse, limit, expected) in [
        (None, false, 3, vec![3, 4, 5]),
        (None, true, 3, vec![10, 9, 8]),
        (Some(0), false, 2, vec![3, 4]),
        (Some(4), false, 3, vec![5, 6, 7]),
        (Some(9), false, 5, vec![10]),
        (Some(10), false, 5, vec![]),
        (Some(u64::MAX), false, 5, vec![]),
        (Some(6), true, 2, vec![5, 4]),
        (Some(4), true, 9, vec![3]),
        (Some(3), true, 9, vec![]),
        (Some(0), true, 9, vec![]),
        (Some(1), true, 9, vec![]),
        (Some(50), true, 2, vec![10, 9]),
        (None, false, 0, vec![]),
        (None, true, 0, vec![]),
        (None, false, usize::MAX, vec![3, 4, 5, 6, 7, 8, 9, 10]),
    ] {
        let window = world.read("team", since, reverse, limit).await;
        assert_eq!(offsets(&window), expected, "since {since:?}, reverse {reverse}, limit {limit}");
        assert_eq!((window.top.offset, window.oldest), (10, Some(3)));
    }
    let newest = world.read("team", None, true, 1).await;
    assert_eq!(newest.records[0].event.body.text().as_deref(), Some("text 10"));
}

async fn a_read_ends_where_its_bytes_are_spent(world: World) {
    let said = "x".repeat(1000);
    for n in 1..=200 {
        world.publish(&Entry { window_events: 300, ..entry("team", &n.to_string(), &said) }).await;
    }
    let read = async |since, reverse, limit, bytes| {
        let range = Range { since, reverse, limit, bytes };
        let window = world.timeline.read(&room("team"), range).await.unwrap();
        window.records.iter().map(|record| record.cursor.offset).collect::<Vec<_>>()
    };
    for reverse in [false, true] {
        let (mut since, mut all) = (None, Vec::new());
        loop {
            let some = read(since, reverse, 1000, 100_000).await;
            assert!(some.len() < 101, "{} events of 1000 bytes", some.len());
            let Some(last) = some.last() else { break };
            assert!(some.len() > 40 || [1, 200].contains(last), "it holds what fits: {}", some.len());
            since = Some(*last);
            all.extend(some);
        }
        assert!(all.iter().copied().eq(if reverse {
            Vec::from_iter((1..=200).rev())
        } else {
            Vec::from_iter(1..=200)
        }));
        assert_eq!(read(None, reverse, 1000, 1).await.len(), 1, "one at least");
        assert_eq!(read(None, reverse, 150, usize::MAX).await.len(), 150);
    }
}

async fn a_deleted_body_is_served_nowhere(world: World) {
    let secret = world.publish(&entry("team", "1", "secret")).await.event.id;
    let other = world.publish(&entry("team", "2", "harmless")).await.event.id;
    let edit = world.publish(&act(Kind::Edit, "team", "3", secret)).await.event.id;
    world.publish(&act(Kind::Edit, "team", "4", other)).await;
    world.publish(&act(Kind::Delete, "team", "5", secret)).await;
    let late = world.publish(&act(Kind::Edit, "team", "6", secret)).await.event.id;

    let blank = |window: confab_hub::timeline::Window| -> Vec<(u64, bool)> {
        window.records.iter().map(|record| (record.cursor.offset, record.event.body.is_null())).collect()
    };
    let expected = vec![(1, true), (2, false), (3, true), (4, false), (5, false), (6, true)];
    assert_eq!(blank(world.read("team", None, false, 10).await), expected);
    let backwards: Vec<_> = expected.into_iter().rev().collect();
    assert_eq!(blank(world.read("team", None, true, 10).await), backwards);
    for (id, gone) in [(secret, true), (edit, true), (late, true), (other, false)] {
        let found = world.timeline.find(&room("team"), id).await.unwrap().expect("the place stays");
        assert_eq!((found.event.id, found.event.body.is_null()), (id, gone));
    }
}

async fn what_was_deleted_is_known_when_the_window_has_passed_it(world: World) {
    let small = |mut entry: Entry| {
        entry.window_events = 2;
        entry
    };
    let secret = world.publish(&small(entry("team", "1", "secret"))).await;
    let edit = world.publish(&small(act(Kind::Edit, "team", "2", secret.event.id))).await;
    let other = world.publish(&small(entry("team", "3", "harmless"))).await;
    world.publish(&small(act(Kind::Delete, "team", "4", secret.event.id))).await;
    world.publish(&small(entry("team", "5", "hi"))).await;
    world.publish(&small(entry("team", "6", "hi"))).await;
    // As a store serves them that does not have the deletion yet.
    let mut stored = [secret, edit, other].map(|record| (*record).clone());
    world.timeline.blank_deleted(&room("team"), &mut stored).await.unwrap();
    assert_eq!(stored.each_ref().map(|record| record.event.body.is_null()), [true, true, false]);
    world.timeline.blank_deleted(&room("other"), &mut stored[2..]).await.unwrap();
    assert!(!stored[2].event.body.is_null(), "of another room nothing is known");
}

async fn an_event_is_found_by_its_id_while_the_window_holds_it(world: World) {
    let mut ids = Vec::new();
    for n in 1..=5 {
        let mut entry = entry("team", &n.to_string(), "hi");
        entry.window_events = 3;
        ids.push(world.publish(&entry).await);
    }
    for (n, record) in ids.iter().enumerate() {
        let found = world.timeline.find(&room("team"), record.event.id).await.unwrap();
        assert_eq!(found.as_ref(), (n >= 2).then_some(record));
    }
    assert!(world.timeline.find(&room("other"), ids[4].event.id).await.unwrap().is_none());
}

async fn a_room_that_was_left_is_silent(mut world: World) {
    for name in ["left", "kept"] {
        world.timeline.subscribe(&room(name)).await.unwrap();
    }
    world.publish(&entry("left", "1", "heard")).await;
    assert_eq!(world.hears().await.event.body.text().as_deref(), Some("heard"));
    world.timeline.unsubscribe(&room("left")).await;
    world.publish(&entry("left", "2", "unheard")).await;
    world.publish(&entry("kept", "3", "after")).await;
    assert_eq!(world.hears().await.event.body.text().as_deref(), Some("after"));
    world.timeline.subscribe(&room("left")).await.unwrap();
    world.publish(&entry("left", "4", "again")).await;
    assert_eq!(world.hears().await.event.body.text().as_deref(), Some("again"));
}

async fn a_closed_timeline_takes_nothing(world: World) {
    world.publish(&entry("team", "1", "hi")).await;
    world.timeline.close().await;
    let late = world.timeline.append(&entry("team", "2", "late")).await;
    assert!(matches!(late, Err(confab_hub::timeline::Error::Unavailable(_))), "{late:?}");
}

/// More events than the queue holds while nobody listens.
async fn overflow(mut world: World) {
    world.timeline.subscribe(&room("team")).await.unwrap();
    for n in 1..=50 {
        world.publish(&entry("team", &n.to_string(), "hi")).await;
    }
    let counters = world.timeline.counters();
    eventually("the overflow is counted", async || {
        (counters.relay_overflows.load(std::sync::atomic::Ordering::Relaxed) > 0).then_some(())
    })
    .await;
    let mut heard = Vec::new();
    while let Relay::Event(record) = world.relayed().await {
        heard.push(record.cursor.offset);
    }
    assert!(heard.len() < 50, "something was left out");
    assert!(heard.is_sorted(), "{heard:?}");
    let missed = world
        .timeline
        .read(&room("team"), Range { since: Some(4), reverse: false, limit: 100, bytes: usize::MAX })
        .await
        .unwrap();
    assert_eq!(missed.records.len(), 46, "the comparison finds what was left out");
    world.publish(&entry("team", "after", "hi")).await;
    let next = async { while world.hears().await.cursor.offset != 51 {} };
    tokio::time::timeout(crate::world::DEADLINE, next).await.expect("the relay goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_relay_queue_of_the_memory_ends_in_a_comparison() {
    let options = MemoryOptions { relay_queue: 4, ..MemoryOptions::default() };
    overflow(World::memory_with(options, Arc::default()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_relay_queue_of_redis_ends_in_a_comparison() {
    let options = confab_hub::timeline::RedisOptions { relay_queue: 4, ..redis_options() };
    overflow(World::redis_with(options, Arc::default()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_pending_until_it_is_settled() {
    let world = World::redis_with(redis_options(), Arc::<Ledger>::default()).await;
    let placed = world.place(&entry("team", "k", "hi")).await;
    let (id, cursor) = (placed.record.event.id, placed.record.cursor);
    assert_eq!(pending(&world.known(&entry("team", "k", "hi")).await), (id, cursor));
    for _ in 0..2 {
        assert_eq!(world.timeline.settle(&placed.pending.clone().unwrap()).await.unwrap(), Settled::Done);
    }
    assert_eq!(journaled(&world.known(&entry("team", "k", "hi")).await), (id, cursor));
}
