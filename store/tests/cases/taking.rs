//! Taking batches: once, whole, and only from the writer whose turn it is.

use crate::support::*;
use confab_protocol::{Cursor, Key};
use confab_store::{Advance, Applied, Error, Store};
use std::task::Poll;

fn advance(expected: Option<i64>, next: i64) -> [Advance; 1] {
    [Advance { topic: "confab-events".into(), partition: 3, expected, next, last: None }]
}

pub async fn a_copy_of_a_record_changes_nothing(store: Store) {
    let batch = [message(1, (1, 1)), edit(2, (1, 2), 1), reaction(3, (1, 3), 1, "👍")];
    assert_eq!(apply(&store, &batch).await, Applied { events: 3, ..Applied::default() });
    let before = (forwards(&store, None, 100).await, now(&store, 1).await);
    assert_eq!(apply(&store, &batch).await, Applied { copies: 3, ..Applied::default() });
    assert_eq!((forwards(&store, None, 100).await, now(&store, 1).await), before);
}

pub async fn a_known_key_keeps_its_place_and_both_ids_lead_to_the_message(store: Store) {
    apply(&store, &[message(1, (1, 1)).key("k")]).await;
    let again = message(2, (1, 2)).key("k").saying(r#""said again""#);
    assert_eq!(apply(&store, std::slice::from_ref(&again)).await, Applied { duplicates: 1, ..Applied::default() });

    assert_eq!(places(&forwards(&store, None, 100).await), [(1, 1), (1, 2)], "its place is not missing");
    let kept = now(&store, 1).await;
    assert_eq!((kept.id, kept.cursor, kept.body.as_str()), (id(1), Cursor::new(1, 1), r#""words of 1""#));
    assert_eq!(now(&store, 2).await, kept);
    assert_eq!(store.event(&room(), id(2)).await.unwrap(), Some(again), "the event itself is what it was");
    let other = message(3, (1, 3)).key("k").by("bob");
    assert_eq!(apply(&store, &[other]).await.events, 1, "keys belong to their senders");
}

pub async fn the_same_key_with_another_draft_is_a_message_of_its_own(store: Store) {
    apply(&store, &[message(1, (1, 1)).key("1").drafted("good morning")]).await;
    let other = message(2, (1, 2)).key("1").drafted("good night");
    let among = [message(3, (1, 3)), other, message(4, (1, 4)).key("1").drafted("good morning")];
    assert_eq!(apply(&store, &among).await, Applied { events: 2, duplicates: 1, ..Applied::default() });
    assert_eq!((words(&store, 1).await, words(&store, 2).await), (r#""words of 1""#.into(), r#""words of 2""#.into()));
    assert_eq!(now(&store, 4).await.id, id(1), "the same draft is the same message");
    apply(&store, &[delete(5, (1, 5), 2)]).await;
    assert_eq!((now(&store, 1).await.deleted, now(&store, 2).await.deleted), (false, true));
    let keys = store.recent_keys(None, 0).await.unwrap();
    assert_eq!(keys.iter().filter(|(_, used)| used.key.as_str() == "1").count(), 3);
}

pub async fn a_known_id_in_a_new_generation_keeps_both_places(store: Store) {
    apply(&store, &[message(1, (1, 1))]).await;
    assert_eq!(apply(&store, &[message(1, (2, 1))]).await.duplicates, 1);
    assert_eq!(now(&store, 1).await.cursor, Cursor::new(1, 1));
    assert_eq!(store.event(&room(), id(1)).await.unwrap().unwrap().cursor, Cursor::new(1, 1));
    assert_eq!(places(&forwards(&store, Some((2, 0)), 9).await), [(2, 1)]);
    assert_eq!(apply(&store, &[message(1, (2, 1)), message(1, (1, 1))]).await.copies, 2);
}

pub async fn duplicates_inside_one_batch_are_found(store: Store) {
    let batch = [
        message(1, (1, 1)).key("k"),
        message(1, (1, 1)).key("k"),
        message(2, (1, 2)).key("k"),
        message(2, (2, 1)).key("k"),
        message(1, (2, 2)).key("k"),
    ];
    let applied = apply(&store, &batch).await;
    assert_eq!(applied, Applied { events: 1, duplicates: 3, copies: 1, unreadable: 0 });
    assert_eq!(now(&store, 2).await.id, id(1));
    assert_eq!(apply(&store, &batch).await.copies, 5);
}

pub async fn a_replaced_writer_writes_nothing(store: Store) {
    store.apply(&entries(&[message(1, (1, 1))]), &advance(None, 10)).await.unwrap();
    store.apply(&entries(&[message(2, (1, 2))]), &advance(Some(10), 20)).await.unwrap();
    for expected in [None, Some(10), Some(30)] {
        match store.apply(&entries(&[message(9, (1, 3))]), &advance(expected, 11)).await {
            Err(Error::Fenced { found, partition: 3, .. }) => assert_eq!(found, Some(20)),
            other => panic!("expected a fence, got {other:?}"),
        }
    }
    let unknown = [Advance { topic: "confab-events".into(), partition: 4, expected: Some(5), next: 6, last: None }];
    let fenced = store.apply(&entries(&[message(9, (1, 3))]), &unknown).await;
    assert!(matches!(fenced, Err(Error::Fenced { found: None, .. })), "{fenced:?}");
    // One fenced partition undoes the move of the others.
    let both = [advance(Some(20), 21), unknown].concat();
    assert!(store.apply(&entries(&[message(9, (1, 3))]), &both).await.is_err());
    assert_eq!(store.position("confab-events", 3).await.unwrap(), Some(20));
    assert_eq!(store.event(&room(), id(9)).await.unwrap(), None);
    assert_eq!(store.through(&room()).await.unwrap(), Some(Cursor::new(1, 2)));
}

pub async fn two_writers_with_one_expectation_cannot_both_write(store: Store) {
    store.apply(&[], &advance(None, 0)).await.unwrap();
    let (one, two) = (entries(&[message(1, (1, 1))]), entries(&[message(2, (1, 1))]));
    let turn = advance(Some(0), 1);
    let (a, b) = tokio::join!(store.apply(&one, &turn), store.apply(&two, &turn));
    assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1, "{a:?} {b:?}");
    assert!(a.is_ok() || matches!(a, Err(Error::Fenced { found: Some(1), .. })), "{a:?}");
    assert_eq!(store.position("confab-events", 3).await.unwrap(), Some(1));
    assert_eq!(forwards(&store, None, 9).await.records.len(), 1);
}

pub async fn positions_move_with_their_batch(store: Store) {
    assert_eq!(store.position("confab-events", 3).await.unwrap(), None);
    store.apply(&[], &advance(None, 7)).await.unwrap();
    assert_eq!(store.position("confab-events", 3).await.unwrap(), Some(7));
    assert_eq!(store.position("confab-events", 4).await.unwrap(), None);
    assert_eq!(store.position("other", 3).await.unwrap(), None);
    for (expected, next, last) in [(Some(7), 8, Some(id(1))), (Some(8), 9, None), (Some(9), 10, Some(id(2)))] {
        let [step] = advance(expected, next);
        store.apply(&[], &[Advance { last, ..step }]).await.unwrap();
        assert_eq!(store.position_and_last("confab-events", 3).await.unwrap(), Some((next, last)));
    }
}

pub async fn a_batch_that_fails_leaves_nothing(store: Store) {
    let poisoned = [message(1, (1, 1)), message(2, (1, 2)).saying(r#""\u0000""#)];
    let failed = store.apply(&entries(&poisoned), &advance(None, 1)).await;
    assert!(matches!(failed, Err(Error::Unstorable { .. })), "{failed:?}");
    assert_eq!(store.position("confab-events", 3).await.unwrap(), None);
    assert_eq!(store.event(&room(), id(1)).await.unwrap(), None);
}

pub async fn what_no_column_can_hold_is_named_and_its_neighbours_are_stored(store: Store) {
    let mut nul_client = message(1, (1, 1));
    nul_client.event.sender.client = Some("a\0b".into());
    let mut nul_trail = message(1, (1, 1));
    nul_trail.trail.chain = "\0".into();
    let poison = [
        message(1, (1, 1)).saying(r#"{"a":"x\u0000"}"#),
        message(1, (1, 1)).saying(r#"["\ud83d"]"#),
        message(1, (1, u64::MAX)),
        message(1, (1, 0)),
        nul_client,
        nul_trail,
    ];
    for record in poison {
        match store.apply(&entries(&[message(2, (1, 2)), record]), &[]).await {
            Err(error @ Error::Unstorable { .. }) => assert!(error.to_string().contains(&id(1).to_string()), "{error}"),
            other => panic!("expected the name of the record, got {other:?}"),
        }
    }
    assert_eq!(apply(&store, &[message(2, (1, 2)), message(3, (1, 3))]).await.events, 2);
}

pub async fn keys_are_remembered(store: Store) {
    apply(&store, &[message(1, (1, 1)).key("k"), edit(2, (1, 2), 1).key("e"), message(3, (1, 3)).key("k")]).await;
    let key = |text: &str| Key::new(text).unwrap();
    let (k, e) = ("the draft with k", "the draft with e");
    let used = store.key_use(&room(), &user("ada"), &key("k"), k).await.unwrap().unwrap();
    assert_eq!((used.id, used.cursor, used.digest.as_str()), (id(1), Cursor::new(1, 1), k));
    assert_eq!((used.at, used.sender, used.key), (1_700_000_000_001, user("ada"), key("k")));
    assert_eq!(store.key_use(&room(), &user("ada"), &key("e"), e).await.unwrap().unwrap().id, id(2));
    assert_eq!(store.key_use(&room(), &user("bob"), &key("k"), k).await.unwrap(), None);
    assert_eq!(store.key_use(&room(), &user("ada"), &key("k"), "another draft").await.unwrap(), None);

    let recent = |room, since| async move {
        let uses = store.recent_keys(room, since).await.unwrap();
        uses.into_iter().map(|(room, used)| (room.as_str().to_owned(), used.id)).collect::<Vec<_>>()
    };
    let here = room();
    let mine = |n| ("team:1".to_owned(), id(n));
    assert_eq!(recent.clone()(None, 1_700_000_000_002).await, [mine(2), mine(3)]);
    assert_eq!(recent.clone()(Some(&here), 0).await, [mine(1), mine(2), mine(3)]);
    assert_eq!(recent(Some(&confab_protocol::Room::new("other").unwrap()), 0).await, []);
}

pub async fn large_batches_are_whole(store: Store) {
    let records: Vec<_> = (1..=1337).map(|n| message(u128::from(n), (1, n))).collect();
    assert_eq!(apply(&store, &records).await.events, 1337);
    let page = forwards(&store, None, usize::MAX).await;
    assert_eq!(page.records, records[..1000]);
    assert_eq!(forwards(&store, Some((1, 1000)), usize::MAX).await.records, records[1000..]);
}

pub async fn what_is_known_by_a_row_that_does_not_stand_is_no_news(store: Store) {
    apply(&store, &[message(1, (1, 1)).key("k")]).await;
    apply(&store, &[message(2, (1, 2)).key("k")]).await;
    // The id of a duplicate, under a key that nobody has used, among messages that are new.
    let batch = [message(3, (2, 1)), message(2, (2, 2)).key("fresh"), reaction(4, (2, 3), 2, "👍")];
    assert_eq!(apply(&store, &batch).await, Applied { events: 2, duplicates: 1, ..Applied::default() });
    assert_eq!((now(&store, 2).await.id, now(&store, 1).await.reactions.len()), (id(1), 1));
    assert_eq!(places(&forwards(&store, Some((2, 0)), 9).await), [(2, 1), (2, 2), (2, 3)]);
}

pub async fn one_known_message_spoils_none_of_its_batch(store: Store) {
    apply(&store, &[message(1, (1, 1)).key("k"), edit(2, (1, 2), 4)]).await;
    // A used key; a message that an edit waits for; a new one, edited and deleted at once, the delete first.
    let batch = [delete(7, (1, 7), 6), message(3, (1, 3)).key("k"), message(4, (1, 4)), edit(5, (1, 5), 6)];
    store.apply(&entries(&[&batch[..], &[message(6, (1, 6))]].concat()), &advance(None, 5)).await.unwrap();
    assert_eq!(now(&store, 3).await.id, id(1));
    assert_eq!(words(&store, 4).await, r#""words of 2""#);
    assert!(now(&store, 6).await.deleted);
    assert_eq!((event_body(&store, 6).await, event_body(&store, 5).await), ("null".into(), "null".into()));
    assert_eq!(places(&forwards(&store, None, 9).await).len(), 7);
    assert_eq!(store.position("confab-events", 3).await.unwrap(), Some(5));
}

pub async fn a_batch_given_up_on_its_way_leaves_nothing_and_is_in_nobodys_way(store: Store) {
    let (mut expected, mut done) = (None::<i64>, false);
    // The last but one may find that a commit that nobody waited for came through; the last finds its turn.
    for turns in (0..60).map(|n| 4 * n * n).chain([usize::MAX; 2]) {
        let next = expected.unwrap_or(0) + 1;
        let batch = entries(&[message(next.unsigned_abs().into(), (1, next.unsigned_abs()))]);
        done = match within(turns, store.apply(&batch, &advance(expected, next))).await {
            Some(Ok(_)) => true,
            None | Some(Err(Error::Fenced { .. })) => false,
            Some(Err(error)) => panic!("after {turns} turns: {error:?}"),
        };
        // What is asked next is answered, and not the question before.
        let found = store.position("confab-events", 3).await.unwrap();
        assert!(found == Some(next) || (!done && found == expected), "{found:?} after {expected:?}, {done}");
        let through = store.through(&room()).await.unwrap().map_or(0, |cursor| cursor.offset);
        assert!(through >= found.unwrap_or(0).unsigned_abs(), "{through} at {found:?}");
        expected = found;
    }
    assert!(done, "at {expected:?}");
}

/// Goes on with it for so many turns, then drops it. What it came to, if it came to its end.
async fn within<T>(turns: usize, call: impl Future<Output = T>) -> Option<T> {
    let mut call = std::pin::pin!(call);
    for _ in 0..turns {
        let turn = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context)));
        if let Poll::Ready(ended) = turn.await {
            return Some(ended);
        }
        tokio::task::yield_now().await;
    }
    None
}
