//! The checker: judges from the outside whether what was acknowledged is kept, once, in one order, and heard by all.
//!
//! A room is a log, so loss, doubles, reorder and gaps are linear scans over what clients were told, what listeners
//! heard, what the journal holds and what the store holds. It knows nothing of the hub's insides.
//!
//! [`check`] judges a run without faults, whose listeners were there from the first event to the last; [`faults`] judges
//! what [`lives`] reads out of the history of a run with faults.

pub mod faults;
pub mod lives;
mod violation;

pub use violation::Violation;

use confab_protocol::Cursor;
use std::collections::{BTreeMap, BTreeSet};

/// What was observed of one event, wherever it was observed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    /// The room.
    pub room: String,
    /// The event's id.
    pub id: String,
    /// Its place.
    pub cursor: Cursor,
    /// Who sent it.
    pub sender: String,
    /// The key it was sent with.
    pub key: String,
}

/// Everything that was observed in a run.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The receipts that senders got, in the order in which each sender sent.
    pub receipts: Vec<Seen>,
    /// What each listener heard of each room, in the order in which it heard it.
    pub heard: BTreeMap<String, Vec<Seen>>,
    /// The journal's records, in the journal's order.
    pub journal: Vec<Seen>,
    /// The rows of `events`.
    pub events: Vec<Seen>,
    /// The rows of `messages`.
    pub messages: Vec<Seen>,
}

/// What a run allows.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// Copies of one record in the journal: legal under faults, none in a run without.
    pub copies: bool,
}

/// Judges a run. Listeners are expected to have listened from the first event to the last.
pub fn check(observed: &Observed, allowed: Allowed) -> Vec<Violation> {
    let mut found = Vec::new();
    let truth = places(&observed.receipts, "receipts", &mut found);
    senders_in_order(&observed.receipts, &mut found);
    for (name, seen, copies) in [
        ("the journal", &observed.journal, allowed.copies),
        ("events", &observed.events, false),
        ("messages", &observed.messages, false),
    ] {
        complete(&observed.receipts, seen, name, copies, &mut found);
        agree(&truth, seen, name, &mut found);
    }
    gapless(&observed.events, "events", &mut found);
    for (listener, seen) in &observed.heard {
        let rooms: BTreeSet<&str> = seen.iter().map(|event| event.room.as_str()).collect();
        let expected: Vec<Seen> =
            observed.receipts.iter().filter(|r| rooms.contains(r.room.as_str())).cloned().collect();
        complete(&expected, seen, listener, false, &mut found);
        agree(&truth, seen, listener, &mut found);
        rising(seen, listener, &mut found);
        gapless(seen, listener, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

/// Which event stands where, according to `seen`.
fn places(seen: &[Seen], place: &str, found: &mut Vec<Violation>) -> BTreeMap<(String, Cursor), String> {
    let mut places = BTreeMap::new();
    for event in seen {
        let at = (event.room.clone(), event.cursor);
        if places.insert(at, event.id.clone()).is_some_and(|other| other != event.id) {
            found.push(Violation::Disagree { place: place.into(), room: event.room.clone(), cursor: event.cursor });
        }
    }
    places
}

fn complete(receipts: &[Seen], seen: &[Seen], place: &str, copies: bool, found: &mut Vec<Violation>) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut keys: BTreeMap<(&str, &str, &str), &str> = BTreeMap::new();
    for event in seen {
        *counts.entry(&event.id).or_default() += 1;
        let key = (event.room.as_str(), event.sender.as_str(), event.key.as_str());
        if keys.insert(key, &event.id).is_some_and(|other| other != event.id) {
            found.push(Violation::SaidTwice { place: place.into(), key: event.key.clone() });
        }
    }
    for receipt in receipts {
        match counts.get(receipt.id.as_str()) {
            None => found.push(Violation::Lost { place: place.into(), id: receipt.id.clone() }),
            Some(1) => {}
            Some(_) if copies => {}
            Some(_) => found.push(Violation::Doubled { place: place.into(), id: receipt.id.clone() }),
        }
    }
}

fn agree(truth: &BTreeMap<(String, Cursor), String>, seen: &[Seen], place: &str, found: &mut Vec<Violation>) {
    for event in seen {
        if truth.get(&(event.room.clone(), event.cursor)).is_some_and(|id| *id != event.id) {
            found.push(Violation::Disagree { place: place.into(), room: event.room.clone(), cursor: event.cursor });
        }
    }
}

fn by_room(seen: &[Seen]) -> BTreeMap<&str, Vec<Cursor>> {
    let mut rooms: BTreeMap<&str, Vec<Cursor>> = BTreeMap::new();
    for event in seen {
        rooms.entry(&event.room).or_default().push(event.cursor);
    }
    rooms
}

fn rising(seen: &[Seen], place: &str, found: &mut Vec<Violation>) {
    for (room, cursors) in by_room(seen) {
        for pair in cursors.windows(2).filter(|pair| pair[1] <= pair[0]) {
            found.push(Violation::Reordered { place: place.into(), room: room.into(), cursor: pair[1] });
        }
    }
}

/// Inside an epoch offsets count 1, 2, 3 …
fn gapless(seen: &[Seen], place: &str, found: &mut Vec<Violation>) {
    for (room, cursors) in by_room(seen) {
        let mut last = Cursor::default();
        for cursor in cursors.into_iter().collect::<BTreeSet<_>>() {
            let next = if cursor.epoch == last.epoch { last.offset + 1 } else { 1 };
            for offset in next..cursor.offset {
                let missing = Cursor { epoch: cursor.epoch, offset };
                found.push(Violation::Gap { place: place.into(), room: room.into(), cursor: missing });
            }
            last = cursor;
        }
    }
}

fn senders_in_order(receipts: &[Seen], found: &mut Vec<Violation>) {
    let mut last: BTreeMap<(&str, &str), Cursor> = BTreeMap::new();
    for receipt in receipts {
        let before = last.insert((&receipt.sender, &receipt.room), receipt.cursor);
        if before.is_some_and(|before| before > receipt.cursor) {
            found.push(Violation::SenderReordered {
                sender: receipt.sender.clone(),
                room: receipt.room.clone(),
                cursor: receipt.cursor,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(n: u64) -> Seen {
        Seen {
            room: "r".into(),
            id: format!("id{n}"),
            cursor: Cursor::new(1, n),
            sender: "ada".into(),
            key: format!("k{n}"),
        }
    }

    fn good() -> Observed {
        let all: Vec<Seen> = (1..=5).map(seen).collect();
        Observed {
            receipts: all.clone(),
            heard: [("bob".to_owned(), all.clone())].into(),
            journal: all.clone(),
            events: all.clone(),
            messages: all,
        }
    }

    fn only(observed: &Observed) -> Vec<Violation> {
        check(observed, Allowed { copies: false })
    }

    #[test]
    fn a_good_run_passes() {
        assert_eq!(only(&good()), []);
    }

    #[test]
    fn a_planted_loss_is_found_wherever_it_is() {
        for place in 0..4 {
            let mut run = good();
            let list = match place {
                0 => &mut run.journal,
                1 => &mut run.events,
                2 => &mut run.messages,
                _ => run.heard.get_mut("bob").unwrap(),
            };
            list.remove(2);
            assert!(only(&run).iter().any(|v| matches!(v, Violation::Lost { id, .. } if id == "id3")), "{place}");
        }
    }

    #[test]
    fn a_planted_double_is_found_and_a_legal_copy_is_not() {
        let mut run = good();
        run.journal.push(seen(2));
        assert_eq!(only(&run), [Violation::Doubled { place: "the journal".into(), id: "id2".into() }]);
        assert_eq!(check(&run, Allowed { copies: true }), []);
        let mut run = good();
        run.messages.push(seen(2));
        assert_eq!(check(&run, Allowed { copies: true }).len(), 1);
        let mut run = good();
        run.messages.push(Seen { id: "other".into(), cursor: Cursor::new(1, 6), ..seen(2) });
        assert_eq!(only(&run), [Violation::SaidTwice { place: "messages".into(), key: "k2".into() }]);
    }

    #[test]
    fn a_planted_reorder_is_found() {
        let mut run = good();
        run.heard.get_mut("bob").unwrap().swap(1, 2);
        assert!(only(&run).iter().any(|v| matches!(v, Violation::Reordered { .. })));
        let mut run = good();
        run.receipts.swap(0, 1);
        assert!(only(&run).iter().any(|v| matches!(v, Violation::SenderReordered { .. })));
    }

    #[test]
    fn a_planted_gap_and_a_disagreement_are_found() {
        let mut run = good();
        for list in [&mut run.receipts, &mut run.events, &mut run.journal, &mut run.messages] {
            list.remove(3);
        }
        run.heard.clear();
        assert_eq!(
            only(&run),
            [Violation::Gap { place: "events".into(), room: "r".into(), cursor: Cursor::new(1, 4) }]
        );
        let mut run = good();
        run.events[4].id = "other".into();
        assert!(only(&run).iter().any(|v| matches!(v, Violation::Disagree { .. })));
    }
}
