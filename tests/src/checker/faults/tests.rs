//! Every fault that can be planted is found, and what is legal under faults is not called one.

use super::*;
use crate::chaos::history::{Heard, Told};

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

/// Five messages, said by ada, heard by bob, kept everywhere.
fn good() -> Run {
    let kept: Vec<Kept> = (1..=5).map(|n| kept(1, n)).collect();
    let rows: Vec<Seen> = (1..=5).map(|n| seen(1, n)).collect();
    let sent = |n| Sent { client: "ada".into(), room: ROOM.into(), tries: vec![(1, Some(receipt(1, n)))] };
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
    Run {
        lives: Lives { sent: (1..=5).map(|n| (format!("k{n}"), sent(n))).collect(), stretches: vec![stretch] },
        journal: kept.clone(),
        events: kept,
        messages: rows.clone(),
        timeline: [(ROOM.to_owned(), window)].into(),
        read_back: [("hub 0".to_owned(), rows)].into(),
        may_forget: true,
        chain: vec!["plugin".into()],
        judged: Some(text),
        ..Run::default()
    }
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
    let forgotten = |run: &mut Run| {
        again(run);
        run.lives.sent.remove(2);
        run.journal.remove(2);
        run.events.remove(2);
        run.messages.remove(2);
        run.read_back.values_mut().for_each(|seen| drop(seen.remove(2)));
    };
    assert_eq!(after(forgotten), [], "heard, not acknowledged, and gone with its Redis");
    let nobody_forgets = |run: &mut Run| {
        forgotten(run);
        run.may_forget = false;
    };
    found!(after(nobody_forgets), Violation::Gap { .. });
}

#[test]
fn a_planted_loss_is_found_wherever_it_is() {
    found!(after(|run| drop(run.journal.remove(2))), Violation::Lost { .. });
    found!(after(|run| drop(run.events.remove(2))), Violation::Lost { .. });
    found!(after(|run| drop(run.messages.remove(2))), Violation::Lost { .. });
    found!(after(|run| run.read_back.values_mut().for_each(|seen| drop(seen.remove(2)))), Violation::Lost { .. });
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
fn an_event_that_was_lost_and_not_acknowledged_may_be_said_again_in_a_later_epoch_but_stays_one_message() {
    let again = |run: &mut Run| {
        let mut other = kept(2, 6);
        (other.seen.key, other.seen.cursor) = ("k2".into(), Cursor::new(2, 1));
        (other.text, other.of, other.stands) = ("k2, judged".into(), "id2".into(), false);
        run.journal.push(other.clone());
        run.events.push(other);
        run.timeline.clear();
        let told = Told::Receipt { id: "id6".into(), cursor: Cursor::new(2, 1), at: 0 };
        run.lives.sent[1].1.tries = vec![(1, Some(Told::Nothing)), (2, Some(told))];
        run.read_back.values_mut().for_each(|seen| seen.push(Seen { key: "k2".into(), ..seen_at(2, 1, 6) }));
    };
    assert_eq!(after(again), []);
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
    let nothing_was_lost = |run: &mut Run| {
        again(run);
        run.may_forget = false;
    };
    found!(after(nothing_was_lost), Violation::SaidTwice { .. });
}

fn seen_at(epoch: u64, offset: u64, n: u64) -> Seen {
    Seen { cursor: Cursor::new(epoch, offset), ..seen(epoch, n) }
}

#[test]
fn an_unjudged_message_is_found() {
    found!(after(|run| bob(run).heard[1].0.text = "k2, as it was sent".into()), Violation::Unjudged { .. });
    found!(after(|run| run.events[1].text.clear()), Violation::Unjudged { .. });
    found!(after(|run| run.journal[1].judges.clear()), Violation::Unjudged { .. });
    let rejected = |run: &mut Run| run.journal[1].seen.key = "bad".into();
    found!(after(rejected), Violation::Unjudged { .. });
}
