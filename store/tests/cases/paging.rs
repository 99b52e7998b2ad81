//! Reading by cursor.

use crate::support::*;
use confab_protocol::{Cursor, Kind};
use confab_store::{Advance, Entry, Query, Store};
use std::collections::BTreeMap;

pub async fn pages_follow_one_another_both_ways(store: Store) {
    let records: Vec<_> = (1..=7).map(|n| message(u128::from(n), (1, n))).collect();
    apply(&store, &records).await;

    let page = forwards(&store, None, 3).await;
    assert_eq!(page.records, records[..3]);
    assert_eq!((page.next, page.through), (Some(Cursor::new(1, 3)), Some(Cursor::new(1, 7))));
    let page = forwards(&store, Some((1, 3)), 3).await;
    assert_eq!((places(&page), page.next), (vec![(1, 4), (1, 5), (1, 6)], Some(Cursor::new(1, 6))));
    let page = forwards(&store, Some((1, 6)), 3).await;
    assert_eq!((places(&page), page.next), (vec![(1, 7)], None));
    let page = forwards(&store, Some((1, 7)), 3).await;
    assert_eq!((places(&page), page.next), (vec![], None));
    let page = forwards(&store, Some((1, 4)), 3).await;
    assert_eq!(page.next, None, "a page that ends exactly at the end leads nowhere");

    let page = backwards(&store, None, 3).await;
    assert_eq!((places(&page), page.next), (vec![(1, 7), (1, 6), (1, 5)], Some(Cursor::new(1, 5))));
    let page = backwards(&store, Some((1, 5)), 4).await;
    assert_eq!((places(&page), page.next), (vec![(1, 4), (1, 3), (1, 2), (1, 1)], None));
    let page = backwards(&store, Some((1, 1)), 4).await;
    assert_eq!((places(&page), page.next), (vec![], None));
}

pub async fn a_reader_never_passes_a_hole(store: Store) {
    apply(&store, &[1, 2, 3, 4, 6].map(|n| message(u128::from(n), (1, n)))).await;
    let page = forwards(&store, None, 100).await;
    assert_eq!(places(&page), [(1, 1), (1, 2), (1, 3), (1, 4)]);
    assert_eq!((page.next, page.through), (None, Some(Cursor::new(1, 4))));
    assert_eq!(places(&backwards(&store, None, 2).await), [(1, 4), (1, 3)]);
    assert_eq!(places(&backwards(&store, Some((1, 9)), 2).await), [(1, 4), (1, 3)]);
    assert_eq!(places(&forwards(&store, Some((1, 5)), 2).await), []);
    assert_eq!(store.contiguous(&room(), 1).await.unwrap(), 4);

    apply(&store, &[message(5, (1, 5))]).await;
    assert_eq!(places(&forwards(&store, Some((1, 4)), 100).await), [(1, 5), (1, 6)]);
    assert_eq!(store.through(&room()).await.unwrap(), Some(Cursor::new(1, 6)));
}

pub async fn holes_filled_late_and_in_several_batches_are_passed_at_once(store: Store) {
    apply(&store, &(2..=1500).map(|n| message(u128::from(n), (1, n))).collect::<Vec<_>>()).await;
    apply(&store, &(1502..=2800).map(|n| message(u128::from(n), (1, n))).collect::<Vec<_>>()).await;
    assert_eq!(store.through(&room()).await.unwrap(), Some(Cursor::new(1, 0)));
    assert_eq!(store.oldest(&room()).await.unwrap(), None);
    apply(&store, &[message(1501, (1, 1501)), message(1, (1, 1)), message(2801, (1, 2801))]).await;
    assert_eq!(store.through(&room()).await.unwrap(), Some(Cursor::new(1, 2801)));
    assert_eq!(store.oldest(&room()).await.unwrap(), Some(Cursor::new(1, 1)));
}

pub async fn no_page_spans_epochs_and_next_leads_on(store: Store) {
    apply(&store, &[message(1, (1, 1)), message(2, (1, 2)), message(3, (4, 1)), message(4, (4, 2))]).await;

    let page = forwards(&store, None, 100).await;
    assert_eq!((places(&page), page.next), (vec![(1, 1), (1, 2)], Some(Cursor::new(4, 0))));
    assert_eq!(page.through, Some(Cursor::new(4, 2)));
    let page = forwards(&store, Some((4, 0)), 100).await;
    assert_eq!((places(&page), page.next), (vec![(4, 1), (4, 2)], None));
    assert_eq!(places(&forwards(&store, Some((1, 2)), 100).await), [(4, 1), (4, 2)], "the end of an epoch leads on");
    assert_eq!(places(&forwards(&store, Some((2, 9)), 100).await), [(4, 1), (4, 2)], "an epoch nobody knows is passed");
    assert_eq!(places(&forwards(&store, Some((5, 0)), 100).await), []);

    let page = backwards(&store, None, 100).await;
    assert_eq!((places(&page), page.next), (vec![(4, 2), (4, 1)], Some(Cursor::new(1, 3))));
    let page = backwards(&store, Some((1, 3)), 100).await;
    assert_eq!((places(&page), page.next), (vec![(1, 2), (1, 1)], None));
    assert_eq!(places(&backwards(&store, Some((4, 1)), 1).await), [(1, 2)]);
    assert_eq!(places(&backwards(&store, Some((9, 9)), 1).await), [(4, 2)]);
}

pub async fn an_epoch_with_a_successor_is_read_past_what_was_lost_with_it(store: Store) {
    apply(&store, &[message(1, (1, 1)), message(3, (1, 3))]).await;
    assert_eq!(places(&forwards(&store, None, 9).await), [(1, 1)], "the hole may still be filled");
    apply(&store, &[message(4, (2, 2))]).await;
    let page = forwards(&store, None, 1).await;
    assert_eq!((places(&page), page.next), (vec![(1, 1)], Some(Cursor::new(1, 1))));
    assert_eq!(page.through, Some(Cursor::new(2, 0)), "nothing of the newest epoch can be served yet");
    let page = forwards(&store, Some((1, 1)), 9).await;
    assert_eq!((places(&page), page.next), (vec![(1, 3)], Some(Cursor::new(2, 0))));
    let page = forwards(&store, Some((2, 0)), 1).await;
    assert_eq!((places(&page), page.next), (vec![], None));
    assert_eq!(places(&backwards(&store, None, 9).await), [(1, 3), (1, 1)]);
    assert_eq!(places(&backwards(&store, Some((1, 3)), 9).await), [(1, 1)]);
    assert_eq!(store.oldest(&room()).await.unwrap(), Some(Cursor::new(1, 1)));
}

pub async fn an_epoch_whose_first_place_was_lost_is_read_all_the_same(store: Store) {
    apply(&store, &[message(2, (1, 2)), message(3, (2, 1))]).await;
    let page = forwards(&store, None, 9).await;
    assert_eq!((places(&page), page.next), (vec![(1, 2)], Some(Cursor::new(2, 0))));
    let page = backwards(&store, None, 9).await;
    assert_eq!((places(&page), page.next), (vec![(2, 1)], Some(Cursor::new(1, 3))));
    assert_eq!(places(&backwards(&store, Some((1, 3)), 9).await), [(1, 2)]);
    assert_eq!(store.oldest(&room()).await.unwrap(), Some(Cursor::new(1, 1)));
}

pub async fn an_unreadable_record_keeps_its_place(store: Store) {
    let place = Some((room(), Cursor::new(1, 2), id(2)));
    let poison = Entry::Unreadable { place, reason: "not JSON".into() };
    let nowhere = Entry::Unreadable { place: None, reason: "not even a key".into() };
    let mut batch = entries(&[message(1, (1, 1)), message(3, (1, 3))]);
    batch.extend([poison.clone(), nowhere]);
    let applied = store.apply(&batch, &[]).await.unwrap();
    assert_eq!((applied.events, applied.unreadable), (2, 2));

    let page = forwards(&store, None, 100).await;
    assert_eq!((places(&page), page.unreadable), (vec![(1, 1), (1, 3)], vec![Cursor::new(1, 2)]));
    assert_eq!(store.event(&room(), id(2)).await.unwrap(), None);
    assert_eq!(store.apply(&[poison], &[]).await.unwrap().copies, 1);
    // The same event at another place is no duplicate of a row that says nothing.
    assert_eq!(apply(&store, &[message(2, (2, 1))]).await.events, 1);
    assert_eq!(now(&store, 2).await.cursor, Cursor::new(2, 1));
}

pub async fn a_readable_copy_takes_the_place_of_an_unreadable_one(store: Store) {
    let poison = |n: u64| Entry::Unreadable {
        place: Some((room(), Cursor::new(1, n), id(u128::from(n)))),
        reason: "a newer version".into(),
    };
    store.apply(&[poison(1)], &[]).await.unwrap();
    let mut batch = vec![poison(2)];
    batch.extend(entries(&[message(1, (1, 1)), message(2, (1, 2))]));
    let applied = store.apply(&batch, &[]).await.unwrap();
    assert_eq!((applied.events, applied.copies, applied.unreadable), (2, 1, 0));
    store.apply(&[poison(1)], &[]).await.unwrap();
    let page = forwards(&store, None, 100).await;
    assert_eq!((places(&page), page.unreadable), (vec![(1, 1), (1, 2)], vec![]));
    assert_eq!(words(&store, 1).await, r#""words of 1""#);
}

pub async fn rooms_do_not_see_one_another(store: Store) {
    apply(&store, &[message(1, (1, 1)), message(1, (1, 1)).room("other"), edit(2, (1, 2), 1).room("other")]).await;
    assert_eq!(forwards(&store, None, 100).await.records, [message(1, (1, 1))]);
    assert_eq!(words(&store, 1).await, r#""words of 1""#);
    assert_eq!(store.event(&room(), id(2)).await.unwrap(), None);
}

pub async fn a_room_that_nobody_knows_has_nothing(store: Store) {
    assert_eq!(forwards(&store, None, 100).await, confab_store::Page::default());
    assert_eq!(backwards(&store, Some((u64::MAX, u64::MAX)), 100).await, confab_store::Page::default());
    assert_eq!(store.through(&room()).await.unwrap(), None);
    assert_eq!(store.oldest(&room()).await.unwrap(), None);
    assert_eq!(store.tops(&room()).await.unwrap(), None);
    assert_eq!(store.contiguous(&room(), 1).await.unwrap(), 0);
    assert_eq!(store.message(&room(), id(1)).await.unwrap(), None);
}

pub async fn bodies_come_back_byte_for_byte(store: Store) {
    let bodies = [
        r#"{"n":1.0000000000000000001,  "x":"é"}"#,
        r#"{"b":1,"a":2,"b":3}"#,
        r#""👍\u00e9\\u0000""#,
        "1e999",
        "{\n\t\"deep\" : [ [ [ ] ] ] }",
        "null",
    ];
    let records: Vec<_> = (1..).zip(bodies).map(|(n, body)| message(n, (1, n as u64)).saying(body)).collect();
    let mut judged = records.clone();
    judged[0].event.annotations.insert("p.score".into(), confab_protocol::Body::parse("[0.10,  1E2]").unwrap());
    judged[0].trail.chain = "v1".into();
    judged[0].event.thread = Some(id(77));
    apply(&store, &judged).await;
    assert_eq!(forwards(&store, None, 100).await.records, judged);
    assert_eq!(words(&store, 1).await, bodies[0]);
    assert_eq!(now(&store, 1).await.annotations, judged[0].event.annotations);
    assert_eq!(store.event(&room(), id(1)).await.unwrap().as_ref(), Some(&judged[0]));
    assert_eq!(judged[0].event.kind, Kind::Message);
}

pub async fn a_page_of_nothing_still_says_where_to_go(store: Store) {
    apply(&store, &[message(1, (1, 1)), message(2, (1, 2))]).await;
    let page = forwards(&store, Some((1, 1)), 0).await;
    assert_eq!((places(&page), page.next), (vec![], Some(Cursor::new(1, 1))));
    let page = backwards(&store, None, 0).await;
    assert_eq!((places(&page), page.next), (vec![], Some(Cursor::new(1, 3))));
    let query = Query { since: None, reverse: false, limit: usize::MAX, bytes: usize::MAX, stored_before: 0 };
    assert_eq!(places(&store.page(&room(), query).await.unwrap()), [(1, 1), (1, 2)]);
}

pub async fn a_page_ends_where_its_bytes_are_spent_and_the_next_one_goes_on(store: Store) {
    let long = format!("\"{}\"", "x".repeat(10_000));
    let records: Vec<_> = (1..=9).map(|n| message(n, (1, n as u64)).saying(&long)).collect();
    apply(&store, &records).await;
    for reverse in [false, true] {
        let (mut since, mut read) = (None, Vec::new());
        for _ in 0..3 {
            let query = Query { since, reverse, limit: 100, bytes: 25_000, stored_before: 0 };
            let page = store.page(&room(), query).await.unwrap();
            assert_eq!(page.records.len(), 3, "with the third they have as many");
            read.extend(places(&page));
            since = page.next;
        }
        assert_eq!(since, None, "every event was read");
        let mut all: Vec<(u64, u64)> = (1..=9).map(|n| (1, n)).collect();
        if reverse {
            all.reverse();
        }
        assert_eq!(read, all);
        let query = Query { since: None, reverse, limit: 100, bytes: 1, stored_before: 0 };
        assert_eq!(store.page(&room(), query).await.unwrap().records.len(), 1, "one at least");
    }
}

/// In a room where nobody speaks again no later row says that an epoch is over.
pub async fn what_was_lost_is_passed_once_everything_before_an_epoch_is_known_to_be_stored(store: Store) {
    apply(&store, &[1, 2, 4].map(|n| message(u128::from(n), (1, n)))).await;
    for (stored_before, expected) in [(0, vec![1, 2]), (1, vec![1, 2]), (2, vec![1, 2, 4])] {
        for reverse in [false, true] {
            let query = Query { since: None, reverse, limit: 10, bytes: usize::MAX, stored_before };
            let page = store.page(&room(), query).await.unwrap();
            let mut offsets: Vec<_> = page.records.iter().map(|record| record.cursor.offset).collect();
            offsets.sort_unstable();
            assert_eq!(offsets, expected, "{stored_before} {reverse}");
            assert_eq!(page.through, Some(Cursor::new(1, 2)), "how far it is contiguous is another question");
        }
    }
}

pub async fn a_topic_is_read_up_to_its_ends_only_with_every_partition(store: Store) {
    let ends = BTreeMap::from([(0, 5), (2, 3)]);
    let advance =
        |partition, expected, next| [Advance { topic: "events".into(), partition, expected, next, last: None }];
    assert!(store.has_read("events", &BTreeMap::new()).await.unwrap(), "of nothing everything was read");
    for moves in [advance(0, None, 5), advance(2, None, 2)] {
        assert!(!store.has_read("events", &ends).await.unwrap());
        store.apply(&[], &moves).await.unwrap();
    }
    assert!(!store.has_read("events", &ends).await.unwrap(), "one record of partition 2 is missing");
    store.apply(&[], &advance(2, Some(2), 3)).await.unwrap();
    assert!(store.has_read("events", &ends).await.unwrap());
    assert!(!store.has_read("others", &ends).await.unwrap(), "another topic's positions say nothing");
}

pub async fn a_missing_place_is_shown_and_once_closed_is_passed_and_its_late_record_is_served(store: Store) {
    apply(&store, &[1, 4, 6].map(|n| message(u128::from(n), (2, n)))).await;
    apply(&store, &[message(1, (1, 2)).room("old"), message(2, (2, 1)).room("old")]).await;
    let stopped = store.stopped(10).await.unwrap();
    assert_eq!(stopped.len(), 1, "an epoch that is over is passed as it is: {stopped:?}");
    let first = &stopped[0];
    assert_eq!((&first.room, first.since), (&room(), Some(message(4, (2, 4)).event.at)));
    assert_eq!((first.first, first.last, first.top), (Cursor::new(2, 2), Cursor::new(2, 3), Cursor::new(2, 6)));

    let closed = store.close_missing(&room(), u64::MAX).await.unwrap();
    let of = |first, last| (Cursor::new(2, first), Cursor::new(2, last));
    assert_eq!(closed, [of(2, 3), of(5, 5)]);
    assert_eq!((store.stopped(10).await.unwrap(), store.contiguous(&room(), 2).await.unwrap()), (vec![], 6));
    let page = forwards(&store, None, 100).await;
    assert_eq!(places(&page), [(2, 1), (2, 4), (2, 6)]);
    assert_eq!(page.unreadable, [2, 3, 5].map(|n| Cursor::new(2, n)), "they are told, and nothing is served");
    assert_eq!(store.close_missing(&room(), u64::MAX).await.unwrap(), [], "closing again closes nothing");

    assert_eq!(apply(&store, &[message(3, (2, 3)), message(7, (2, 7))]).await.events, 2);
    let page = forwards(&store, None, 100).await;
    assert_eq!((places(&page), page.unreadable.len()), (vec![(2, 1), (2, 3), (2, 4), (2, 6), (2, 7)], 2));
    let page = backwards(&store, Some((2, 5)), 3).await;
    assert_eq!((places(&page), page.unreadable), (vec![(2, 4), (2, 3)], vec![]));
    assert_eq!(words(&store, 3).await, r#""words of 3""#);
}

pub async fn only_places_that_are_missing_long_enough_are_closed(store: Store) {
    apply(&store, &(2501..=2510).map(|n| message(u128::from(n), (1, n))).collect::<Vec<_>>()).await;
    apply(&store, &[message(2512, (1, 2512))]).await;
    let at = |n| message(u128::from(n), (1, n)).event.at;
    assert!(at(2501) < at(2512));
    assert_eq!(store.close_missing(&room(), at(2501)).await.unwrap(), []);
    let closed = store.close_missing(&room(), at(2512)).await.unwrap();
    assert_eq!(closed, [(Cursor::new(1, 1), Cursor::new(1, 2500))]);
    assert_eq!(store.contiguous(&room(), 1).await.unwrap(), 2510);
    assert_eq!(store.stopped(10).await.unwrap()[0].first, Cursor::new(1, 2511));
}
