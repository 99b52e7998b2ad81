//! Judges edits and deletions: a message says what its newest edit says, and what was deleted is nowhere to be read.

use super::{Folded, ReadBack, Run, Violation};
use crate::chaos::history::Does;
use confab_protocol::Cursor;
use std::collections::{BTreeMap, BTreeSet};

/// What clients did to messages.
pub(super) struct Changes<'a> {
    /// The message that each edit is of, by the edit's key.
    edits: BTreeMap<&'a str, &'a str>,
    /// What somebody asked to delete.
    perhaps_deleted: BTreeSet<&'a str>,
    /// What somebody was told is deleted.
    deleted: BTreeSet<&'a str>,
    /// What the newest edit of a message says, of those that stand.
    newest: BTreeMap<&'a str, (Cursor, &'a str)>,
}

impl<'a> Changes<'a> {
    pub(super) fn of(run: &'a Run) -> Self {
        let (mut edits, mut perhaps_deleted, mut deleted) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        for (key, sent) in &run.lives.sent {
            match &sent.does {
                Does::Say => {}
                Does::Edit(target) => drop(edits.insert(key.as_str(), target.as_str())),
                Does::Delete(target) => {
                    perhaps_deleted.insert(target.as_str());
                    if sent.receipts().next().is_some() {
                        deleted.insert(target.as_str());
                    }
                }
            }
        }
        let mut newest: BTreeMap<&str, (Cursor, &str)> = BTreeMap::new();
        for row in run.events.iter().filter(|row| row.stands) {
            let Some(target) = edits.get(row.seen.key.as_str()) else { continue };
            let before = newest.entry(target).or_default();
            *before = (*before).max((row.seen.cursor, row.text.as_str()));
        }
        Self { edits, perhaps_deleted, deleted, newest }
    }

    /// The message that an event says something of: itself, or what it edits.
    fn message<'b>(&'b self, id: &'b str, key: &str) -> &'b str {
        self.edits.get(key).copied().unwrap_or(id)
    }

    /// Whether this event may have lost its body.
    pub(super) fn may_be_blank(&self, id: &str, key: &str) -> bool {
        self.perhaps_deleted.contains(self.message(id, key))
    }

    /// What was deleted and still stands in the store.
    pub(super) fn undone_in_the_store(&self, run: &Run, found: &mut Vec<Violation>) {
        for row in run.events.iter().filter(|row| !row.text.is_empty()) {
            // Another id of the same key is the same message.
            let (id, of) = (self.message(&row.seen.id, &row.seen.key), self.message(&row.of, &row.seen.key));
            if self.deleted.contains(id) || self.deleted.contains(of) {
                found.push(Violation::Undeleted { place: "events".into(), id: row.seen.id.clone() });
            }
        }
    }

    /// What a hub gives as if it had not been deleted, or edited.
    pub(super) fn undone(&self, run: &Run, reader: &str, read: &ReadBack, found: &mut Vec<Violation>) {
        for event in read.forwards.iter().chain(&read.backwards) {
            let said = read.texts.get(&event.id).is_some_and(|texts| texts.iter().any(|text| !text.is_empty()));
            if said && self.deleted.contains(self.message(&event.id, &event.key)) {
                let place = format!("the events that {reader} gives");
                found.push(Violation::Undeleted { place, id: event.id.clone() });
            }
        }
        let keys: BTreeMap<&str, &str> =
            run.events.iter().map(|row| (row.seen.id.as_str(), row.seen.key.as_str())).collect();
        for message in &read.messages {
            self.folded(run, reader, message, &keys, found);
        }
    }

    fn folded(
        &self,
        run: &Run,
        reader: &str,
        message: &Folded,
        keys: &BTreeMap<&str, &str>,
        found: &mut Vec<Violation>,
    ) {
        let Folded { id, text, deleted, .. } = message;
        let blank = *deleted && text.is_empty();
        if self.deleted.contains(id.as_str()) {
            if !blank {
                let place = format!("the messages that {reader} gives");
                found.push(Violation::Undeleted { place, id: id.clone() });
            }
            return;
        }
        if blank && self.perhaps_deleted.contains(id.as_str()) {
            return;
        }
        let said = || keys.get(id.as_str()).and_then(|key| run.judged.and_then(|judged| judged(key)));
        let expected = self.newest.get(id.as_str()).map(|(_, text)| (*text).to_owned()).or_else(said);
        if *deleted || run.judged.is_some() && expected.as_deref() != Some(text) {
            found.push(Violation::Unfolded { place: reader.into(), id: id.clone() });
        }
    }
}
