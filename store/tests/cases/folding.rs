//! What events add up to, however they come.

use crate::support::*;
use confab_protocol::Body;
use confab_store::Store;

pub async fn an_edit_waits_for_its_message(store: Store) {
    apply(&store, &[edit(2, (1, 2), 1)]).await;
    assert_eq!(store.message(&room(), id(1)).await.unwrap(), None, "there is no message yet");
    apply(&store, &[message(1, (1, 1))]).await;
    let message = now(&store, 1).await;
    assert_eq!((message.body.as_str(), message.edited_at), (r#""words of 2""#, Some(1_700_000_000_002)));
    assert_eq!((message.at, message.cursor.offset), (1_700_000_000_001, 1));
    assert_eq!(event_body(&store, 1).await, r#""words of 1""#, "events stay what they were");
}

pub async fn the_newest_edit_counts_however_they_come(store: Store) {
    apply(&store, &[message(1, (1, 1)), edit(3, (1, 3), 1)]).await;
    apply(&store, &[edit(2, (1, 2), 1)]).await;
    assert_eq!(words(&store, 1).await, r#""words of 3""#);
    assert_eq!(now(&store, 1).await.edited_at, Some(1_700_000_000_003));
    apply(&store, &[edit(5, (2, 1), 1), edit(4, (1, 4), 1)]).await;
    assert_eq!(words(&store, 1).await, r#""words of 5""#, "a later epoch is later");
}

pub async fn an_edit_older_than_its_message_counts(store: Store) {
    // The message was appended again in a new generation, and only there did it reach the journal.
    apply(&store, &[edit(2, (1, 2), 1)]).await;
    apply(&store, &[message(1, (2, 1))]).await;
    assert_eq!(words(&store, 1).await, r#""words of 2""#);
}

pub async fn a_delete_blanks_the_message_and_its_edits_everywhere(store: Store) {
    let mut spoken = message(1, (1, 1));
    spoken.event.annotations.insert("p.translation".into(), Body::of(&"des mots"));
    apply(&store, &[spoken, edit(2, (1, 2), 1), message(3, (1, 3))]).await;
    apply(&store, &[delete(4, (1, 4), 1)]).await;
    let message = now(&store, 1).await;
    assert!(message.deleted && message.body.is_null() && message.annotations.is_empty());
    let page = forwards(&store, None, 100).await;
    let bodies: Vec<_> = page.records.iter().map(|record| record.event.body.as_str()).collect();
    assert_eq!(bodies, ["null", "null", r#""words of 3""#, "null"]);
    assert!(page.records[0].event.annotations.is_empty(), "what plugins said of the words says what they were");
    assert_eq!(places(&page), [(1, 1), (1, 2), (1, 3), (1, 4)]);
    assert_eq!(event_body(&store, 2).await, "null");
}

pub async fn an_edit_after_the_delete_brings_nothing_back(store: Store) {
    apply(&store, &[message(1, (1, 1)), delete(4, (1, 4), 1)]).await;
    apply(&store, &[edit(2, (1, 2), 1)]).await;
    apply(&store, &[edit(5, (1, 5), 1)]).await;
    assert!(now(&store, 1).await.deleted);
    for n in [1, 2, 5] {
        assert_eq!(event_body(&store, n).await, "null");
    }
    assert_eq!(words(&store, 1).await, "null");
    apply(&store, &[message(1, (1, 1)), edit(2, (1, 2), 1)]).await;
    assert_eq!(event_body(&store, 2).await, "null", "a copy brings nothing back either");
}

pub async fn a_delete_waits_for_its_message(store: Store) {
    apply(&store, &[delete(4, (1, 4), 1)]).await;
    apply(&store, &[edit(3, (1, 3), 1)]).await;
    assert_eq!(event_body(&store, 3).await, "null");
    apply(&store, &[message(1, (1, 1))]).await;
    let message = now(&store, 1).await;
    assert!(message.deleted && message.body.is_null());
    assert_eq!(event_body(&store, 1).await, "null");
}

pub async fn a_delete_blanks_duplicates_and_edits_of_them(store: Store) {
    apply(&store, &[message(1, (1, 1)).key("k"), message(2, (1, 2)).key("k"), message(1, (2, 1)).key("k")]).await;
    apply(&store, &[edit(3, (2, 2), 2), edit(4, (2, 3), 1)]).await;
    assert_eq!(words(&store, 1).await, r#""words of 4""#);
    apply(&store, &[delete(5, (2, 4), 2)]).await;
    assert!(now(&store, 1).await.deleted, "deleted by the id of a duplicate");
    // A duplicate and an edit of it that come after the delete.
    apply(&store, &[edit(7, (2, 6), 6)]).await;
    assert_eq!(event_body(&store, 7).await, r#""words of 7""#, "nobody knows yet what it edits");
    apply(&store, &[message(6, (2, 5)).key("k")]).await;
    for n in [1, 2, 3, 4, 6, 7] {
        assert_eq!(event_body(&store, n).await, "null", "event {n}");
    }
    let page = forwards(&store, Some((2, 0)), 9).await;
    assert!(page.records.iter().all(|record| record.event.body.is_null()), "{page:?}");
}

pub async fn a_delete_with_a_used_key_still_deletes(store: Store) {
    apply(&store, &[message(1, (1, 1)).key("1"), message(2, (1, 2)).key("2")]).await;
    assert_eq!(apply(&store, &[delete(3, (1, 3), 1).key("2")]).await.duplicates, 1);
    assert!(now(&store, 1).await.deleted);
    assert_eq!(event_body(&store, 1).await, "null");
    assert_eq!(words(&store, 2).await, r#""words of 2""#);
}

pub async fn a_retried_edit_does_not_undo_a_newer_one(store: Store) {
    apply(&store, &[message(1, (1, 1)), edit(2, (1, 2), 1).key("e"), edit(3, (1, 3), 1)]).await;
    assert_eq!(apply(&store, &[edit(4, (1, 4), 1).key("e")]).await.duplicates, 1);
    assert_eq!(words(&store, 1).await, r#""words of 3""#);
}

pub async fn edits_and_reactions_of_a_duplicate_belong_to_the_message(store: Store) {
    apply(&store, &[edit(4, (1, 4), 2), reaction(5, (1, 5), 2, "👍"), reaction(6, (1, 6), 2, "🎉").by("bob")]).await;
    apply(&store, &[message(1, (1, 1)).key("k"), unreaction(7, (1, 7), 1, "🎉").by("bob")]).await;
    assert_eq!(words(&store, 1).await, r#""words of 1""#);
    apply(&store, &[message(2, (1, 2)).key("k")]).await;
    let message = now(&store, 1).await;
    assert_eq!(message.body.as_str(), r#""words of 4""#);
    assert_eq!(message.reactions, [("👍".to_owned(), vec![user("ada")])]);
    assert_eq!(now(&store, 2).await, message);
    apply(&store, &[edit(8, (1, 8), 2), unreaction(9, (1, 9), 2, "👍")]).await;
    let message = now(&store, 1).await;
    assert_eq!((message.body.as_str(), message.reactions.len()), (r#""words of 8""#, 0));
}

pub async fn the_last_word_on_a_reaction_counts_however_they_come(store: Store) {
    apply(&store, &[message(1, (1, 1)), unreaction(3, (1, 3), 1, "👍")]).await;
    apply(&store, &[reaction(2, (1, 2), 1, "👍")]).await;
    assert_eq!(now(&store, 1).await.reactions, []);
    apply(&store, &[reaction(4, (1, 4), 1, "👍")]).await;
    assert_eq!(now(&store, 1).await.reactions, [("👍".to_owned(), vec![user("ada")])]);
    apply(&store, &[reaction(6, (1, 6), 1, "👍"), unreaction(5, (1, 5), 1, "👍")]).await;
    assert_eq!(now(&store, 1).await.reactions, [("👍".to_owned(), vec![user("ada")])]);
}

pub async fn reactions_are_listed_in_the_order_they_were_given(store: Store) {
    apply(&store, &[reaction(4, (1, 4), 1, "👍").by("cleo"), reaction(3, (1, 3), 1, "🎉")]).await;
    apply(&store, &[message(1, (1, 1)), reaction(2, (1, 2), 1, "👍").by("bob"), reaction(5, (1, 5), 1, "👍")]).await;
    let words_that_are_no_reaction =
        [reaction(6, (1, 6), 1, "x").saying(r#"{"text":"no"}"#), reaction(7, (1, 7), 1, &"x".repeat(5000))];
    assert_eq!(apply(&store, &words_that_are_no_reaction).await.events, 2);
    let expected = [("👍", vec!["bob", "cleo", "ada"]), ("🎉", vec!["ada"])];
    let expected = expected.map(|(text, users)| (text.to_owned(), users.into_iter().map(user).collect::<Vec<_>>()));
    assert_eq!(now(&store, 1).await.reactions, expected);
}

pub async fn annotations_belong_to_the_body(store: Store) {
    let mut spoken = message(1, (1, 1));
    spoken.event.annotations.insert("p.score".into(), Body::of(&1));
    let mut edited = edit(2, (1, 2), 1);
    edited.event.annotations.insert("p.score".into(), Body::of(&2));
    apply(&store, &[edited.clone()]).await;
    apply(&store, &[spoken]).await;
    assert_eq!(now(&store, 1).await.annotations, edited.event.annotations);
    apply(&store, &[edit(3, (1, 3), 1)]).await;
    assert!(now(&store, 1).await.annotations.is_empty());
}
