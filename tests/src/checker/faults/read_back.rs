//! Judges what a hub gives to a reader when all is over.

use super::{Folded, ReadBack, Run, Seen, Truth, Violation};
use crate::chaos::history::Does;
use std::collections::{BTreeMap, BTreeSet};

/// Whoever reads a room gets everything that was acknowledged, at its place and in order, the same from either end; and each
/// message once.
pub(super) fn judge(run: &Run, truth: &Truth, reader: &str, read: &ReadBack, found: &mut Vec<Violation>) {
    acknowledged(run, truth, reader, read, found);
    let mut ids = BTreeSet::new();
    for Folded { id, .. } in read.messages.iter().filter(|message| !ids.insert((&message.room, &message.id))) {
        found.push(Violation::Doubled { place: format!("messages, as {reader} reads them"), id: id.clone() });
    }
    crate::checker::rising(&read.forwards, reader, found);
    for (room, forwards) in rooms(&read.forwards) {
        let mut backwards = rooms(&read.backwards).remove(room).unwrap_or_default();
        backwards.reverse();
        if let Some(n) = (0..forwards.len().max(backwards.len())).find(|n| forwards.get(*n) != backwards.get(*n)) {
            let cursor = forwards.get(n).or(backwards.get(n)).map(|event| event.cursor).unwrap_or_default();
            let place = format!("{reader}, read backwards,");
            found.push(Violation::Disagree { place, room: room.to_owned(), cursor });
        }
    }
    for event in &read.forwards {
        let stands = truth.places.get(&(event.room.clone(), event.cursor));
        if stands.is_some_and(|id| *id != event.id) {
            let (room, cursor) = (event.room.clone(), event.cursor);
            found.push(Violation::Disagree { place: reader.into(), room, cursor });
        }
    }
}

fn acknowledged(run: &Run, truth: &Truth, reader: &str, read: &ReadBack, found: &mut Vec<Violation>) {
    let there: BTreeSet<_> = read.forwards.iter().map(|event| (&event.room, event.cursor, &event.id)).collect();
    let messages: BTreeSet<_> = read.messages.iter().map(|message| (&message.room, &message.id)).collect();
    for (key, sent) in &run.lives.sent {
        let Some((id, cursor)) = sent.receipts().next() else { continue };
        let (id, room) = (id.to_owned(), &sent.room);
        let stands = truth.standing.get(&id).unwrap_or(&id);
        let lost = |what: &str| {
            let place = format!("the {what} that {reader} read back of {room}");
            Violation::Lost { place, id: id.clone() }
        };
        if !(there.contains(&(room, cursor, &id)) || *stands != id && run.may_be_gone(key)) {
            found.push(lost("events"));
        }
        if sent.does == Does::Say && !messages.contains(&(room, stands)) {
            found.push(lost("messages"));
        }
    }
}

fn rooms(seen: &[Seen]) -> BTreeMap<&str, Vec<&Seen>> {
    let mut rooms: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
    seen.iter().for_each(|event| rooms.entry(&event.room).or_default().push(event));
    rooms
}
