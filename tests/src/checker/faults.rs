//! Judges a run with faults: what clients saw and were told, against the timeline, the journal and the store.
//!
//! Under faults some things are legal that are not in a quiet run, and no others: copies of a record in the journal; the same
//! event at a second place after Redis lost its first one; a place that was not acknowledged and is missing in an epoch that is
//! over, where its event has another place or nobody could give it one; and, for a key that was sent to a hub which was killed
//! afterwards, an event that is gone with it, or another id under its key in a later epoch.

mod changes;
mod read_back;

use super::lives::{Joint, Lives, Sent, Stretch};
use super::{Seen, Violation};
use crate::chaos::history::Does;
use changes::Changes;
use confab_protocol::Cursor;
use std::collections::{BTreeMap, BTreeSet};

/// A record of the journal, or a row of `events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The event and its place.
    pub seen: Seen,
    /// What it says.
    pub text: String,
    /// The plugins that let it through, in order.
    pub judges: Vec<String>,
    /// The event that stands for it: its own id, unless it is a later one with a key that was known.
    pub of: String,
    /// Whether it is the event itself: not another place of one that stands, and not a later one with its key.
    pub stands: bool,
}

/// What a room's timeline holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The room's last place.
    pub top: Cursor,
    /// The hot window: which event stands where.
    pub events: Vec<(Cursor, String)>,
}

/// What a hub gives to a reader when all is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadBack {
    /// `history` from each room's beginning to its end.
    pub forwards: Vec<Seen>,
    /// `history` from each room's end to its beginning, in the order in which it came.
    pub backwards: Vec<Seen>,
    /// What was said in the events that either gave, by their ids.
    pub texts: BTreeMap<String, BTreeSet<String>>,
    /// `messages` from each room's end to its beginning, in the order in which they came.
    pub messages: Vec<Folded>,
}

/// A message as a hub gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folded {
    /// The room.
    pub room: String,
    /// Its id.
    pub id: String,
    /// What it says now.
    pub text: String,
    /// Whether it is called deleted.
    pub deleted: bool,
}

/// All there is to judge.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// What clients saw and were told.
    pub lives: Lives,
    /// The journal's records, in the journal's order.
    pub journal: Vec<Kept>,
    /// The rows of `events`.
    pub events: Vec<Kept>,
    /// The rows of `messages`.
    pub messages: Vec<Seen>,
    /// The timeline, room by room. Rooms that it knows nothing of are not judged by it.
    pub timeline: BTreeMap<String, Window>,
    /// Events that the timeline still holds as not journaled.
    pub pending: BTreeSet<String>,
    /// What hubs gave of each room, by who asked.
    pub read_back: BTreeMap<String, ReadBack>,
    /// Whether the timeline may have lost something: it is not what a receipt stands for, as it is in an embedded hub.
    pub timeline_may_lose: bool,
    /// The plugins that must have judged everything.
    pub chain: Vec<String>,
    /// What plugins must have made of what was sent under a key; `None` where they let nothing through.
    pub judged: Option<fn(&str) -> Option<String>>,
}

impl Run {
    /// Whether what a hub knew of this key may be gone: it was killed, and the timeline can lose what is not acknowledged.
    fn may_be_gone(&self, key: &str) -> bool {
        self.timeline_may_lose && self.lives.sent_to_the_killed.contains(key)
    }
}

/// Judges it.
pub fn judge(run: &Run) -> Vec<Violation> {
    let mut found = Vec::new();
    let truth = Truth::of(run, &mut found);
    for (key, sent) in &run.lives.sent {
        told(run, &truth, key, sent, &mut found);
    }
    drafts_in_order(&run.lives, &mut found);
    said_once(run, &mut found);
    for stretch in &run.lives.stretches {
        listened(run, &truth, stretch, &mut found);
    }
    holes(run, &truth, &mut found);
    windows(run, &truth, &mut found);
    let changes = Changes::of(run);
    changes.undone_in_the_store(run, &mut found);
    for (reader, read) in &run.read_back {
        read_back::judge(run, &truth, reader, read, &mut found);
        changes.undone(run, reader, read, &mut found);
    }
    unjudged(run, &changes, &mut found);
    found.sort();
    found.dedup();
    found
}

type Place = (String, Cursor);

/// Who stands where, and where everything is.
struct Truth {
    places: BTreeMap<Place, String>,
    acknowledged: BTreeMap<String, Place>,
    receipts: BTreeMap<Place, String>,
    journal: BTreeMap<String, BTreeSet<Cursor>>,
    stored: BTreeMap<String, BTreeSet<Cursor>>,
    /// Which event stands for each.
    standing: BTreeMap<String, String>,
    messages: BTreeSet<String>,
    last_epoch: BTreeMap<String, Cursor>,
}

impl Truth {
    fn of(run: &Run, found: &mut Vec<Violation>) -> Self {
        let mut places: BTreeMap<Place, String> = BTreeMap::new();
        let mut take = |place: &str, room: &str, cursor: Cursor, id: &str| {
            let before = places.entry((room.to_owned(), cursor)).or_insert_with(|| id.to_owned());
            if before != id {
                found.push(Violation::Disagree { place: place.into(), room: room.into(), cursor });
            }
        };
        for (name, kept) in [("the journal", &run.journal), ("events", &run.events)] {
            kept.iter().for_each(|one| take(name, &one.seen.room, one.seen.cursor, &one.seen.id));
        }
        for (room, window) in &run.timeline {
            window.events.iter().for_each(|(cursor, id)| take("the timeline", room, *cursor, id));
        }
        for stretch in &run.lives.stretches {
            stretch.heard.iter().for_each(|(e, _)| take(&stretch.client, &stretch.room, e.cursor, &e.id));
        }
        let mut acknowledged = BTreeMap::new();
        for (_, sent) in &run.lives.sent {
            for (id, cursor) in sent.receipts() {
                take("a receipt", &sent.room, cursor, id);
                acknowledged.entry(id.to_owned()).or_insert_with(|| (sent.room.clone(), cursor));
            }
        }
        let mut last_epoch: BTreeMap<String, Cursor> = BTreeMap::new();
        for (room, cursor) in places.keys() {
            let last = last_epoch.entry(room.clone()).or_default();
            *last = (*last).max(*cursor);
        }
        Self {
            places,
            receipts: acknowledged.iter().map(|(id, place): (&String, &Place)| (place.clone(), id.clone())).collect(),
            acknowledged,
            journal: by_id(&run.journal),
            stored: by_id(&run.events),
            standing: standing(&run.events),
            messages: run.messages.iter().map(|row| row.id.clone()).collect(),
            last_epoch,
        }
    }
}

/// The standing event for each id that has one.
fn standing(events: &[Kept]) -> BTreeMap<String, String> {
    let stand: BTreeSet<&str> = events.iter().filter(|row| row.stands).map(|row| row.seen.id.as_str()).collect();
    let known = events.iter().filter(|row| stand.contains(row.of.as_str()));
    known.map(|row| (row.seen.id.clone(), row.of.clone())).collect()
}

fn by_id(kept: &[Kept]) -> BTreeMap<String, BTreeSet<Cursor>> {
    let mut places: BTreeMap<String, BTreeSet<Cursor>> = BTreeMap::new();
    for one in kept {
        places.entry(one.seen.id.clone()).or_default().insert(one.seen.cursor);
    }
    places
}

/// What was told of one key: the same each time, and true.
fn told(run: &Run, truth: &Truth, key: &str, sent: &Sent, found: &mut Vec<Violation>) {
    let receipts: Vec<_> = sent.receipts().collect();
    let lost = |place: &str, id: &str| Violation::Lost { place: place.into(), id: id.into() };
    let Some((first, _)) = receipts.first() else {
        match sent.refused_for_good() {
            None if run.judged.is_none_or(|judged| judged(key).is_some()) => {
                found.push(Violation::Unanswered { key: key.into() });
            }
            Some(code) if standing_under(run, key) => {
                found.push(Violation::RefusedStands { key: key.into(), code });
            }
            _ => {}
        }
        return;
    };
    if let Some(code) = sent.refused_for_good() {
        found.push(Violation::RefusedStands { key: key.into(), code });
    }
    for (id, cursor) in &receipts {
        if (id, cursor) != (&receipts[0].0, &receipts[0].1) {
            found.push(Violation::ReceiptsDiffer { key: key.into(), ids: [(*first).into(), (*id).into()] });
        }
        match truth.journal.get(*id) {
            None => found.push(lost("the journal", id)),
            Some(places) if !places.contains(cursor) => {
                found.push(Violation::FalseReceipt { id: (*id).into(), cursor: *cursor });
            }
            Some(_) => {}
        }
        match truth.standing.get(*id) {
            Some(of) if of == id || run.may_be_gone(key) => {
                if sent.does == Does::Say && !truth.messages.contains(of) {
                    found.push(lost("messages", id));
                }
            }
            _ => found.push(lost("events", id)),
        }
    }
}

fn standing_under(run: &Run, key: &str) -> bool {
    run.events.iter().any(|row| row.stands && row.seen.key == key)
}

/// One session's drafts stand in the order in which it sent them. That is asked of those that stand from their first try: a
/// retry comes when it comes. It is asked inside an epoch: after Redis was lost, places are given anew.
fn drafts_in_order(lives: &Lives, found: &mut Vec<Violation>) {
    let mut last: BTreeMap<(&str, u32, &str), Cursor> = BTreeMap::new();
    for (_, sent) in &lives.sent {
        let [(session, Some(_))] = sent.tries.as_slice() else { continue };
        let Some((_, cursor)) = sent.receipts().next() else { continue };
        let before = last.insert((&sent.client, *session, &sent.room), cursor);
        if before.is_some_and(|before| before.epoch == cursor.epoch && before > cursor) {
            let (sender, room) = (sent.client.clone(), sent.room.clone());
            found.push(Violation::SenderReordered { sender, room, cursor });
        }
    }
}

/// One key is one event, wherever one looks; a key of a hub that was killed may be two, in two epochs. That two were
/// acknowledged is seen in their receipts.
fn said_once(run: &Run, found: &mut Vec<Violation>) {
    let heard = run.lives.stretches.iter().flat_map(|stretch| {
        let (client, room) = (stretch.client.as_str(), &stretch.room);
        stretch.heard.iter().map(move |(e, _)| (client, room, &e.sender, &e.key, e.cursor.epoch, &e.id))
    });
    let kept = [("the journal", &run.journal), ("events", &run.events)].into_iter().flat_map(|(place, kept)| {
        kept.iter().map(move |Kept { seen: e, .. }| (place, &e.room, &e.sender, &e.key, e.cursor.epoch, &e.id))
    });
    let mut keys = BTreeMap::new();
    for (place, room, sender, key, epoch, id) in kept.chain(heard) {
        let epoch = run.may_be_gone(key).then_some(epoch);
        if *keys.entry((place, room, sender, key, epoch)).or_insert(id) != id {
            found.push(Violation::SaidTwice { place: place.into(), key: key.clone() });
        }
    }
    let (mut ids, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for Seen { room, id, sender, key, .. } in &run.messages {
        if !ids.insert(id) {
            found.push(Violation::Doubled { place: "messages".into(), id: id.clone() });
        } else if !keys.insert((room, sender, key)) {
            found.push(Violation::SaidTwice { place: "messages".into(), key: key.clone() });
        }
    }
}

/// A stretch has no hole, no double and no change of order, and a client that is still there has heard all.
fn listened(run: &Run, truth: &Truth, stretch: &Stretch, found: &mut Vec<Violation>) {
    let (client, room) = (&stretch.client, &stretch.room);
    let (mut at, mut ids) = (stretch.start, BTreeSet::new());
    for (event, joint) in &stretch.heard {
        let cursor = event.cursor;
        if !ids.insert(&event.id) {
            found.push(Violation::Doubled { place: client.clone(), id: event.id.clone() });
        }
        if cursor <= at {
            found.push(Violation::Reordered { place: client.clone(), room: room.clone(), cursor });
            continue;
        }
        let next = Cursor { epoch: at.epoch, offset: at.offset + 1 };
        // Nobody could be told of a place before a room had any.
        let begins = at == Cursor::default() && cursor.offset == 1;
        if cursor != next && !begins {
            let (place, room) = (client.clone(), room.clone());
            found.push(match joint {
                Joint::Live => Violation::Gap { place, room, cursor: next },
                Joint::Recovered => Violation::Dishonest { client: place, room, cursor: next },
            });
        }
        let over = cursor.epoch < truth.last_epoch[room].epoch;
        if !(truth.stored.contains_key(&event.id) || over && run.may_be_gone(&event.key)) {
            found.push(Violation::Lost { place: format!("events, and {client} heard it"), id: event.id.clone() });
        }
        at = cursor;
    }
    if stretch.end() > stretch.start {
        let (room, next) = (room.clone(), Cursor { offset: stretch.start.offset + 1, ..stretch.start });
        let stayed = truth.receipts.range((room.clone(), next)..=(room, stretch.end()));
        for (_, id) in stayed.filter(|(_, id)| !ids.contains(id)) {
            found.push(Violation::Lost { place: format!("what {client} heard"), id: id.clone() });
        }
    }
    for (claimed, heard) in &stretch.claims {
        let reached = heard.checked_sub(1).map_or(stretch.start, |n| stretch.heard[n].0.cursor);
        if reached != *claimed {
            found.push(Violation::Dishonest { client: client.clone(), room: room.clone(), cursor: *claimed });
        }
    }
    let top = run.timeline.get(room).map_or(at, |window| window.top);
    if stretch.last && stretch.end() != top {
        found.push(Violation::Behind { client: client.clone(), room: room.clone(), cursor: stretch.end() });
    }
}

/// Every place of an epoch has its row. One is missing rightly only if it was not acknowledged and its epoch is over: what
/// was heard there is looked for where it was heard.
fn holes(run: &Run, truth: &Truth, found: &mut Vec<Violation>) {
    let acknowledged: BTreeSet<&Place> = truth.acknowledged.values().collect();
    let mut rows: BTreeMap<(&str, Cursor), ()> = BTreeMap::new();
    let mut tops: BTreeMap<(&str, _), u64> = BTreeMap::new();
    for row in &run.events {
        rows.insert((&row.seen.room, row.seen.cursor), ());
        let top = tops.entry((&row.seen.room, row.seen.cursor.epoch)).or_default();
        *top = (*top).max(row.seen.cursor.offset);
    }
    for ((room, epoch), top) in tops {
        for offset in 1..=top {
            let cursor = Cursor { epoch, offset };
            let over = run.timeline_may_lose && epoch < truth.last_epoch[room].epoch;
            let legal = over && !acknowledged.contains(&(room.to_owned(), cursor));
            if !rows.contains_key(&(room, cursor)) && !legal {
                found.push(Violation::Gap { place: "events".into(), room: room.into(), cursor });
            }
        }
    }
}

/// What the timeline holds is stored, and nothing waits any more.
fn windows(run: &Run, truth: &Truth, found: &mut Vec<Violation>) {
    // What is in the journal, and was forgotten to be so with a server that was lost, is only written down again.
    let pending = run.pending.iter().filter(|id| !truth.journal.contains_key(*id));
    found.extend(pending.map(|id| Violation::Pending { id: id.clone() }));
    for (room, window) in &run.timeline {
        let mut before: Option<Cursor> = None;
        for (cursor, id) in &window.events {
            if !truth.stored.get(id).is_some_and(|places| places.contains(cursor)) {
                found.push(Violation::Lost { place: "events, and the timeline has it".into(), id: id.clone() });
            }
            if before.is_some_and(|before| before.offset + 1 != cursor.offset) {
                found.push(Violation::Gap { place: "the timeline".into(), room: room.clone(), cursor: *cursor });
            }
            before = Some(*cursor);
        }
        if before.is_some_and(|last| last != window.top) {
            found.push(Violation::Gap { place: "the timeline".into(), room: room.clone(), cursor: window.top });
        }
    }
}

/// Everything that anybody can see is what all plugins of the chain made of what was sent.
fn unjudged(run: &Run, changes: &Changes<'_>, found: &mut Vec<Violation>) {
    let Some(judged) = run.judged else { return };
    let mut look = |place: &str, id: &str, key: &str, text: &str| {
        let blanked = text.is_empty() && changes.may_be_blank(id, key);
        if !blanked && judged(key).is_none_or(|expected| expected != text) {
            found.push(Violation::Unjudged { place: place.into(), id: id.into() });
        }
    };
    for stretch in &run.lives.stretches {
        stretch.heard.iter().for_each(|(event, _)| look(&stretch.client, &event.id, &event.key, &event.text));
    }
    for (place, kept) in [("the journal", &run.journal), ("events", &run.events)] {
        kept.iter().for_each(|one| look(place, &one.seen.id, &one.seen.key, &one.text));
    }
    // Nothing is said in a deletion: no plugin is asked.
    let said = run.journal.iter().filter(|one| judged(&one.seen.key).is_none_or(|text| !text.is_empty()));
    for one in said.filter(|one| one.judges != run.chain) {
        found.push(Violation::Unjudged { place: "its trail in the journal".into(), id: one.seen.id.clone() });
    }
}

#[cfg(test)]
mod tests;
