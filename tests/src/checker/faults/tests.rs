//! Every fault that can be planted is found, and what is legal under faults is not called one.

use super::*;
use crate::chaos::history::{Does, Heard, Told};

const ROOM: &str = "r";

fn seen(epoch: u64, n: u64) -> Seen {
    Seen {
        room: ROOM.into(),
        id: format!("id{n}"),
        cursor: Cursor::new(epoch, n),
        sender: "ada".into(),
        key: format!("k{n}"),
    }
}

fn text(key: &str) -> Option<String> {
    (key != "bad").then(|| format!("{key}, judged"))
}

fn kept(epoch: u64, n: u64) -> Kept {
    let seen = seen(epoch, n);
    let text = text(&seen.key).unwrap_or_default();
    Kept { of: seen.id.clone(), seen, text, judges: vec!["plugin".into()], stands: true }
}

fn heard(epoch: u64, n: u64) -> (Heard, Joint) {
    let Seen { id, cursor, sender, key, .. } = seen(epoch, n);
    let text = text(&key).unwrap_or_default();
    (Heard { id, cursor, sender, key, text }, Joint::Live)
}

fn receipt(epoch: u64, n: u64) -> Told {
    Told::Receipt { id: format!("id{n}"), cursor: Cursor::new(epoch, n), at: 0 }
}

fn folded(n: u64) -> Folded {
    let text = text(&format!("k{n}")).unwrap_or_default();
    Folded { room: ROOM.into(), id: format!("id{n}"), text, deleted: false }
}

/// Five messages, said by ada, heard by bob, kept everywhere.
fn good() -> Run {
    let kept: Vec<Kept> = (1..=5).map(|n| kept(1, n)).collect();
    let rows: Vec<Seen> = (1..=5).map(|n| seen(1, n)).collect();
    let sent =
        |n| Sent { client: "ada".into(), room: ROOM.into(), does: Does::Say, tries: vec![(1, Some(receipt(1, n)))] };
    let stretch = Stretch {
        client: "bob".into(),
        room: ROOM.into(),
        start: Cursor::new(1, 0),
        heard: (1..=5).map(|n| heard(1, n)).collect(),
        claims: vec![(Cursor::new(1, 0), 0)],
        last: true,
    };
    let window =
        Window { top: Cursor::new(1, 5), events: (3..=5).map(|n| (Cursor::new(1, n), format!("id{n}"))).collect() };
    let read = ReadBack {
        backwards: rows.iter().rev().cloned().collect(),
        messages: (1..=5).rev().map(folded).collect(),
        texts: (1..=5).map(|n| (format!("id{n}"), text(&format!("k{n}")).into_iter().collect())).collect(),
        forwards: rows.clone(),
    };
    Run {
        lives: Lives {
            sent: (1..=5).map(|n| (format!("k{n}"), sent(n))).collect(),
            stretches: vec![stretch],
            sent_to_the_killed: BTreeSet::new(),
        },
        journal: kept.clone(),
        events: kept,
        messages: rows.clone(),
        timeline: [(ROOM.to_owned(), window)].into(),
        read_back: [("hub 0".to_owned(), read)].into(),
        timeline_may_lose: true,
        chain: vec!["plugin".into()],
        judged: Some(text),
        ..Run::default()
    }
}

fn reader(run: &mut Run) -> &mut ReadBack {
    run.read_back.get_mut("hub 0").expect("there is a reader")
}

/// A reader does not find this one.
fn not_read(run: &mut Run, n: u64) {
    let read = reader(run);
    read.forwards.retain(|seen| seen.id != format!("id{n}"));
    read.backwards.retain(|seen| seen.id != format!("id{n}"));
    read.messages.retain(|Folded { id, .. }| *id != format!("id{n}"));
}

/// What is found after this was done to a good run.
fn after(plant: impl FnOnce(&mut Run)) -> Vec<Violation> {
    let mut run = good();
    plant(&mut run);
    judge(&run)
}

fn bob(run: &mut Run) -> &mut Stretch {
    &mut run.lives.stretches[0]
}

macro_rules! found {
    ($violations:expr, $pattern:pat) => {
        let violations = $violations;
        assert!(violations.iter().any(|violation| matches!(violation, $pattern)), "{violations:?}");
    };
}

#[test]
fn a_good_run_passes_and_so_does_what_is_legal_under_faults() {
    assert_eq!(judge(&good()), []);
    assert_eq!(after(|run| run.journal.push(kept(1, 2))), [], "a copy in the topic");
    // Redis was lost: the fifth event took a second place in a new epoch, and the window begins anew.
    let again = |run: &mut Run| {
        let mut second = kept(2, 5);
        second.seen.cursor = Cursor::new(2, 1);
        second.stands = false;
        run.journal.push(second.clone());
        run.events.push(second);
        let window = Window { top: Cursor::new(2, 1), events: vec![(Cursor::new(2, 1), "id5".into())] };
        run.timeline.insert(ROOM.into(), window);
        bob(run).last = false;
        let mut next = bob(run).clone();
        next.heard = vec![heard(2, 5)];
        next.heard[0].0.cursor = Cursor::new(2, 1);
        (next.start, next.claims, next.last) = (Cursor::new(2, 0), vec![(Cursor::new(2, 0), 0)], true);
        run.lives.stretches.push(next);
    };
    assert_eq!(after(again), [], "the same event at a second place");
    // The third was heard and not acknowledged, and died with Redis and the hub to which it was sent.
    let gone = |run: &mut Run| {
        again(run);
        run.lives.sent.remove(2);
        run.journal.remove(2);
        run.events.remove(2);
        run.messages.remove(2);
        not_read(run, 3);
        run.lives.sent_to_the_killed.insert("k3".into());
    };
    assert_eq!(after(gone), [], "heard, not acknowledged, and gone with its Redis and its hub");
    let its_hub_lives = |run: &mut Run| {
        gone(run);
        run.lives.sent_to_the_killed.clear();
    };
    found!(after(its_hub_lives), Violation::Lost { .. });
    let not_even_heard = |run: &mut Run| {
        its_hub_lives(run);
        run.lives.stretches.clear();
    };
    assert_eq!(after(not_even_heard), [], "nobody could have given it a place again");
    let nothing_can_be_lost = |run: &mut Run| {
        gone(run);
        run.timeline_may_lose = false;
    };
    found!(after(nothing_can_be_lost), Violation::Gap { .. });
}

#[test]
fn a_planted_loss_is_found_wherever_it_is() {
    found!(after(|run| drop(run.journal.remove(2))), Violation::Lost { .. });
    found!(after(|run| drop(run.events.remove(2))), Violation::Lost { .. });
    found!(after(|run| drop(run.messages.remove(2))), Violation::Lost { .. });
    found!(after(|run| not_read(run, 3)), Violation::Lost { .. });
    found!(after(|run| drop(reader(run).messages.remove(2))), Violation::Lost { .. });
    found!(after(|run| reader(run).forwards[2].cursor = Cursor::new(2, 1)), Violation::Lost { .. });
    found!(after(|run| run.events[2].stands = false), Violation::Lost { .. });
    assert_eq!(after(|run| run.pending = ["id2".into()].into()), [], "it is in the journal");
    found!(after(|run| run.pending = ["id9".into()].into()), Violation::Pending { .. });
}

#[test]
fn a_planted_gap_double_or_reorder_is_found_in_what_was_heard() {
    found!(after(|run| drop(bob(run).heard.remove(2))), Violation::Gap { .. });
    found!(after(|run| bob(run).heard.swap(1, 2)), Violation::Reordered { .. });
    let twice = |run: &mut Run| {
        let again = bob(run).heard[1].clone();
        bob(run).heard.insert(2, again);
    };
    found!(after(twice), Violation::Doubled { .. });
    found!(after(|run| drop(bob(run).heard.pop())), Violation::Behind { .. });
    found!(after(|run| bob(run).heard[2].0.id = "other".into()), Violation::Disagree { .. });
    found!(after(|run| bob(run).start = Cursor::new(0, 9)), Violation::Gap { .. });
}

#[test]
fn a_reader_who_is_given_something_else_from_the_other_end_is_found() {
    found!(after(|run| drop(reader(run).backwards.remove(2))), Violation::Disagree { .. });
    found!(after(|run| reader(run).backwards.swap(1, 2)), Violation::Disagree { .. });
    found!(after(|run| reader(run).backwards.clear()), Violation::Disagree { .. });
    let twice = |run: &mut Run| {
        let again = reader(run).messages[1].clone();
        reader(run).messages.push(again);
    };
    found!(after(twice), Violation::Doubled { .. });
}

#[test]
fn a_listener_that_stayed_and_did_not_hear_what_was_acknowledged_is_found_whatever_it_heard_instead() {
    let another = |run: &mut Run| {
        bob(run).heard[2].0.id = "id9".into();
        run.journal.remove(2);
        run.events.remove(2);
    };
    let found = after(another);
    let lost = |violation: &Violation| matches!(violation, Violation::Lost { place, id } if place == "what bob heard" && id == "id3");
    assert!(found.iter().any(lost), "{found:?}");
}

#[test]
fn a_planted_gap_is_found_in_the_store_and_the_timeline() {
    let unacknowledged = |run: &mut Run| {
        run.lives.sent.remove(2);
        run.events.remove(2);
    };
    found!(after(unacknowledged), Violation::Gap { .. });
    let window = |run: &mut Run| drop(run.timeline.get_mut(ROOM).unwrap().events.remove(1));
    found!(after(window), Violation::Gap { .. });
}

#[test]
fn a_dishonest_recovery_is_found() {
    let skips = |run: &mut Run| {
        bob(run).heard.remove(2);
        bob(run).heard[2].1 = Joint::Recovered;
    };
    found!(after(skips), Violation::Dishonest { .. });
    found!(after(|run| bob(run).claims.push((Cursor::new(1, 4), 2))), Violation::Dishonest { .. });
}

#[test]
fn receipts_that_differ_or_lie_are_found() {
    let tries = |run: &mut Run, told| run.lives.sent[1].1.tries.push((2, Some(told)));
    assert_eq!(after(|run| tries(run, receipt(1, 2))), [], "the first receipt again");
    found!(after(|run| tries(run, receipt(1, 3))), Violation::ReceiptsDiffer { .. });
    let elsewhere = Told::Receipt { id: "id2".into(), cursor: Cursor::new(1, 9), at: 0 };
    found!(after(|run| tries(run, elsewhere.clone())), Violation::FalseReceipt { .. });
    let refused = Told::Refused { code: 400, temporary: false };
    found!(after(|run| tries(run, refused.clone())), Violation::RefusedStands { code: 400, .. });
    found!(after(|run| run.lives.sent[1].1.tries = vec![(1, Some(refused.clone()))]), Violation::RefusedStands { .. });
    found!(after(|run| run.lives.sent[1].1.tries = vec![(1, Some(Told::Nothing))]), Violation::Unanswered { .. });
}

#[test]
fn the_same_key_twice_and_drafts_in_another_order_are_found() {
    let twice = |run: &mut Run| {
        let mut other = kept(1, 6);
        other.seen.key = "k2".into();
        run.journal.push(other);
    };
    found!(after(twice), Violation::SaidTwice { .. });
    found!(after(|run| run.lives.sent.swap(0, 1)), Violation::SenderReordered { .. });
    found!(after(|run| run.messages[4].key = "k1".into()), Violation::SaidTwice { .. });
}

#[test]
fn a_key_gives_two_events_only_where_the_hub_that_knew_the_first_was_killed_and_one_message_even_then() {
    let again = |run: &mut Run| {
        let mut other = kept(2, 6);
        (other.seen.key, other.seen.cursor) = ("k2".into(), Cursor::new(2, 1));
        (other.text, other.of, other.stands) = ("k2, judged".into(), "id2".into(), false);
        run.journal.push(other.clone());
        run.events.push(other);
        run.timeline.clear();
        let told = Told::Receipt { id: "id6".into(), cursor: Cursor::new(2, 1), at: 0 };
        run.lives.sent[1].1.tries = vec![(1, Some(Told::Nothing)), (2, Some(told))];
        run.lives.sent_to_the_killed.insert("k2".into());
    };
    assert_eq!(after(again), []);
    let nobody_was_killed = |run: &mut Run| {
        again(run);
        run.lives.sent_to_the_killed.clear();
    };
    found!(after(nobody_was_killed), Violation::SaidTwice { .. });
    found!(after(nobody_was_killed), Violation::Lost { .. });
    let both = |run: &mut Run| {
        again(run);
        run.lives.sent[1].1.tries.push((3, Some(receipt(1, 2))));
    };
    found!(after(both), Violation::ReceiptsDiffer { .. });
    let in_no_message = |run: &mut Run| {
        again(run);
        run.messages.remove(1);
    };
    found!(after(in_no_message), Violation::Lost { .. });
    let nothing_can_be_lost = |run: &mut Run| {
        again(run);
        run.timeline_may_lose = false;
    };
    found!(after(nothing_can_be_lost), Violation::SaidTwice { .. });
    let within_an_epoch = |run: &mut Run| {
        again(run);
        run.journal.last_mut().unwrap().seen.cursor = Cursor::new(1, 6);
    };
    found!(after(within_an_epoch), Violation::SaidTwice { .. });
}

#[test]
fn a_client_that_hears_one_key_under_two_ids_is_found() {
    let twice = |run: &mut Run| {
        let mut next = bob(run).clone();
        next.heard = vec![heard(2, 6)];
        (next.heard[0].0.cursor, next.heard[0].0.key) = (Cursor::new(2, 1), "k4".into());
        (next.start, next.claims) = (Cursor::new(2, 0), vec![(Cursor::new(2, 0), 0)]);
        run.lives.stretches.push(next);
    };
    found!(after(twice), Violation::SaidTwice { .. });
}

/// The fifth event becomes an edit of the second.
fn edited(run: &mut Run) {
    run.lives.sent[4].1.does = Does::Edit("id2".into());
    run.messages.retain(|row| row.id != "id5");
    let read = reader(run);
    read.messages.retain(|message| message.id != "id5");
    read.messages[2].text = text("k5").unwrap();
    assert_eq!(read.messages[2].id, "id2");
}

/// The fifth event becomes a deletion of the second.
fn deleted(run: &mut Run) {
    run.judged = Some(|key| if key == "k5" { Some(String::new()) } else { text(key) });
    run.lives.sent[4].1.does = Does::Delete("id2".into());
    run.messages.retain(|row| row.id != "id5");
    run.events[1].text.clear();
    for kept in [&mut run.journal, &mut run.events] {
        kept[4].text.clear();
        kept[4].judges.clear();
    }
    bob(run).heard[4].0.text.clear();
    let read = reader(run);
    read.messages.retain(|message| message.id != "id5");
    (read.messages[2].deleted, read.messages[2].text) = (true, String::new());
    for id in ["id2", "id5"] {
        read.texts.insert(id.into(), [String::new()].into());
    }
}

#[test]
fn an_edit_that_is_not_shown_and_a_deleted_body_that_is_are_found() {
    assert_eq!(after(edited), []);
    let as_it_was = |run: &mut Run| {
        edited(run);
        reader(run).messages[2].text = text("k2").unwrap();
    };
    found!(after(as_it_was), Violation::Unfolded { .. });
    assert_eq!(after(deleted), []);
    let not_called_deleted = |run: &mut Run| {
        deleted(run);
        reader(run).messages[2].deleted = false;
    };
    found!(after(not_called_deleted), Violation::Undeleted { .. });
    let in_a_page = |run: &mut Run| {
        deleted(run);
        reader(run).texts.get_mut("id2").unwrap().insert(text("k2").unwrap());
    };
    found!(after(in_a_page), Violation::Undeleted { .. });
    let in_the_store = |run: &mut Run| {
        deleted(run);
        run.events[1].text = text("k2").unwrap();
    };
    found!(after(in_the_store), Violation::Undeleted { .. });
    let nobody_deleted_it = |run: &mut Run| {
        deleted(run);
        reader(run).messages[0] = Folded { deleted: true, text: String::new(), ..reader(run).messages[0].clone() };
    };
    found!(after(nobody_deleted_it), Violation::Unfolded { .. });
    found!(after(|run| run.events[1].text.clear()), Violation::Unjudged { .. });
}

#[test]
fn an_unjudged_message_is_found() {
    found!(after(|run| bob(run).heard[1].0.text = "k2, as it was sent".into()), Violation::Unjudged { .. });
    found!(after(|run| run.events[1].text.clear()), Violation::Unjudged { .. });
    found!(after(|run| run.journal[1].judges.clear()), Violation::Unjudged { .. });
    let rejected = |run: &mut Run| run.journal[1].seen.key = "bad".into();
    found!(after(rejected), Violation::Unjudged { .. });
}
