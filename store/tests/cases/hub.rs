//! What the hub itself keeps in the store: held events and generations; and the schema.

use crate::support::*;
use confab_protocol::{Body, Cursor, Held, HeldEmit, HeldState, Kind, Trail, UserId};
use confab_store::{Error, Store};

fn held(n: u128) -> Held {
    let record = message(n, (1, 1)).saying(r#"{"n":1.0000000000000000001,  "x":"é"}"#);
    let trail = Trail { chain: "v1".into(), steps: Vec::new() };
    let (plugin, reason) = ("word-filter".to_owned(), "looks odd".to_owned());
    let body = Body::parse(r#"{"text":"noted"}"#).unwrap();
    let words = HeldEmit { plugin: "notes".into(), room: room(), body, thread: Some(id(n)), hops: 1 };
    // Odd ones have something to say.
    let says = vec![words; (n % 2) as usize];
    Held { event: record.event, trail, plugin, reason, held_at: 100 + n as u64, state: HeldState::Waiting, says }
}

pub async fn a_held_event_is_decided_once(store: Store) {
    store.hold(&held(1), 100).await.unwrap();
    let (a, b) = tokio::join!(
        store.decide(id(1), HeldState::Approved, "mia", None),
        store.decide(id(1), HeldState::Denied, "noor", None)
    );
    let decided: Vec<_> = [a.unwrap(), b.unwrap()].into_iter().flatten().collect();
    assert_eq!(decided.len(), 1);
    assert_eq!(store.held_one(id(1)).await.unwrap().as_ref(), Some(&decided[0]));
    assert_eq!(store.decide(id(1), HeldState::Denied, "mia", None).await.unwrap(), None);
    assert_eq!(store.decide(id(2), HeldState::Denied, "mia", None).await.unwrap(), None);
}

pub async fn held_events_are_listed_by_state(store: Store) {
    for n in [3, 1, 2] {
        store.hold(&held(n), 100).await.unwrap();
    }
    store.decide(id(2), HeldState::Denied, "mia", None).await.unwrap();
    let list = async |state, limit| {
        store.held(state, None, limit).await.unwrap().iter().map(|held| held.id().0.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(list(None, 10).await, [1, 2, 3]);
    assert_eq!(list(Some(HeldState::Waiting), 10).await, [1, 3]);
    assert_eq!(list(Some(HeldState::Denied), 10).await, [2]);
    assert_eq!(list(Some(HeldState::Waiting), 1).await, [1]);
    assert_eq!(store.held(None, Some(room().as_str()), 10).await.unwrap().len(), 3);
    assert_eq!(store.held(Some(HeldState::Waiting), Some("elsewhere"), 10).await.unwrap(), []);
}

pub async fn decisions_are_found_by_their_time_with_their_reason(store: Store) {
    for n in [1, 2, 3] {
        store.hold(&held(n), 100).await.unwrap();
    }
    assert_eq!(store.decided_since(0, 10).await.unwrap(), []);
    store.decide(id(2), HeldState::Denied, "mia", Some("off topic")).await.unwrap();
    store.decide(id(1), HeldState::Approved, "noor", None).await.unwrap();
    let decided = store.decided_since(0, 10).await.unwrap();
    let mut who: Vec<_> =
        decided.iter().map(|one| (one.held.state.as_str(), one.by.as_str(), one.why.as_deref())).collect();
    who.sort_unstable();
    assert_eq!(who, [("approved", "noor", None), ("denied", "mia", Some("off topic"))]);
    let last = decided.iter().map(|one| one.at).max().unwrap();
    assert_eq!(store.decided_since(last + 1, 10).await.unwrap(), []);
    assert_eq!(store.decided_since(0, 1).await.unwrap().len(), 1);
}

pub async fn only_a_denial_can_be_overruled(store: Store) {
    store.hold(&held(1), 100).await.unwrap();
    assert_eq!(store.overrule(id(1), "mia").await.unwrap(), None, "it waits");
    store.decide(id(1), HeldState::Denied, "noor", None).await.unwrap();
    assert_eq!(store.overrule(id(1), "mia").await.unwrap().unwrap().state, HeldState::Approved);
    assert_eq!(store.overrule(id(1), "mia").await.unwrap(), None, "it is approved");
}

pub async fn a_held_event_comes_back_as_it_was(store: Store) {
    for n in [1, 2] {
        store.hold(&held(n), 100).await.unwrap();
        assert_eq!(store.held_one(id(n)).await.unwrap(), Some(held(n)));
    }
    let mut other = held(1);
    other.reason = "again".into();
    store.hold(&other, 100).await.unwrap();
    assert_eq!(store.held_one(id(1)).await.unwrap(), Some(held(1)), "the first hold stays");
    let (mut nul, mut half) = (held(3), held(3));
    nul.reason = "a\0b".into();
    half.says[0].body = Body::parse(r#""\ud800""#).unwrap();
    for unstorable in [nul, half] {
        assert!(matches!(store.hold(&unstorable, 100).await, Err(Error::Unstorable { .. })));
    }
}

pub async fn the_words_of_a_held_event_go_when_what_it_was_published_as_is_deleted(store: Store) {
    let mut edits = held(4);
    (edits.event.kind, edits.event.target) = (Kind::Edit, Some(id(1)));
    for held in [&held(1), &held(2), &held(3), &edits] {
        store.hold(held, 100).await.unwrap();
    }
    apply(&store, &[message(1, (1, 1)), message(2, (1, 2)), edit(4, (1, 3), 1)]).await;
    apply(&store, &[delete(5, (1, 4), 1)]).await;
    let bodies = store.held(None, None, 10).await.unwrap();
    let blank: Vec<_> =
        bodies.iter().map(|held| (held.id(), held.event.body.is_null(), held.says.is_empty())).collect();
    assert_eq!(blank, [(id(1), true, true), (id(2), false, true), (id(3), false, false), (id(4), true, true)]);
}

pub async fn a_draft_is_held_once_whichever_hub_holds_it(store: Store) {
    let (first, mut second, mut another) = (held(1), held(2), held(3));
    for again in [&mut second, &mut another] {
        again.event.key = first.event.key.clone();
    }
    second.event.digest = first.event.digest.clone();
    assert_eq!(store.hold(&first, 100).await.unwrap(), Some((id(1), HeldState::Waiting)));
    assert_eq!(store.hold(&second, 100).await.unwrap(), Some((id(1), HeldState::Waiting)), "the same draft");
    assert_eq!(store.hold(&another, 100).await.unwrap(), Some((id(3), HeldState::Waiting)), "another draft");
    store.decide(id(1), HeldState::Approved, "mia", None).await.unwrap();
    assert_eq!(store.hold(&second, 100).await.unwrap(), Some((id(1), HeldState::Approved)));
    store.withdraw(id(1)).await.unwrap();
    store.withdraw(id(3)).await.unwrap();
    let left = store.held(None, None, 10).await.unwrap();
    assert_eq!(left.iter().map(Held::id).collect::<Vec<_>>(), [id(1)], "what was decided on stays");
}

pub async fn generations_count_up(store: Store) {
    assert_eq!(store.generation().await.unwrap(), 1);
    assert_eq!(store.next_generation(0).await.unwrap(), 2);
    let (a, b) = tokio::join!(store.next_generation(0), store.next_generation(0));
    let mut both = [a.unwrap(), b.unwrap()];
    both.sort_unstable();
    assert_eq!(both, [3, 4]);
    assert_eq!(store.generation().await.unwrap(), 4);
    assert_eq!(store.next_generation(100).await.unwrap(), 100, "a floor is obeyed");
    assert_eq!(store.next_generation(50).await.unwrap(), 101, "and a lower one changes nothing");
}

pub async fn the_newest_epoch_and_the_mark_are_known(store: Store) {
    assert_eq!((store.newest_epoch().await.unwrap(), store.mark().await.unwrap()), (None, None));
    apply(&store, &[message(1, (7, 1)), message(2, (3, 1))]).await;
    store.set_mark("one").await.unwrap();
    store.set_mark("two").await.unwrap();
    assert_eq!((store.newest_epoch().await.unwrap(), store.mark().await.unwrap()), (Some(7), Some("two".to_owned())));
}

pub async fn the_highest_place_is_known_past_holes(store: Store) {
    apply(&store, &[message(1, (1, 1)), message(4, (1, 4))]).await;
    assert_eq!(store.tops(&room()).await.unwrap(), Some(Cursor::new(1, 4)));
    apply(&store, &[message(5, (2, 1))]).await;
    assert_eq!(store.tops(&room()).await.unwrap(), Some(Cursor::new(2, 1)));
}

pub async fn migrating_again_changes_nothing(store: Store) {
    apply(&store, &[message(1, (1, 1))]).await;
    assert_eq!(store.pending_migrations().await.unwrap(), Vec::<String>::new());
    let (a, b) = tokio::join!(store.migrate(), store.migrate());
    a.unwrap();
    b.unwrap();
    store.check().await.unwrap();
    assert_eq!(places(&forwards(&store, None, 9).await), [(1, 1)]);
}

pub async fn a_sender_has_so_many_held_events_and_others_have_their_own(store: Store) {
    for n in 1..=5 {
        assert_eq!(store.hold(&held(n), 3).await.unwrap().is_some(), n <= 3, "{n}");
    }
    let mut other = held(6);
    other.event.sender.user = UserId::new("somebody else").unwrap();
    assert!(store.hold(&other, 3).await.unwrap().is_some());
    assert!(store.hold(&held(2), 3).await.unwrap().is_some(), "it is there already");
    store.decide(id(1), HeldState::Denied, "mia", None).await.unwrap();
    assert!(store.hold(&held(5), 3).await.unwrap().is_some(), "one of them has been decided");
    assert_eq!(store.held(Some(HeldState::Waiting), None, 10).await.unwrap().len(), 4);
}
