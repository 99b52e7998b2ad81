//! The part of a batch that looks like messages nobody has heard of, as most of it is: it can be written without asking
//! what is known. The indexes say whether it was so; if not, nothing of it has happened, and the batch goes the long way.

use crate::changes::NewRow;
use crate::fold::Fate;
use crate::store::Transaction;
use crate::{Entry, Error, postgres};
use confab_protocol::{EventId, Kind};
use std::collections::HashSet;

/// A batch, cut in two.
#[derive(Default)]
pub(super) struct Cut<'a> {
    /// What looks like new messages, in the batch's order.
    pub fresh: Vec<&'a Entry>,
    /// All else. What it does to those messages it may do after them: the fold does not mind the order.
    pub rest: Vec<Entry>,
}

impl<'a> Cut<'a> {
    /// Cuts it, if no id and no key is there twice: which of two comes first would matter.
    pub fn of(batch: &'a [Entry]) -> Self {
        let mut seen = Seen::default();
        if !batch.iter().all(|entry| seen.is_new(entry)) {
            return Self::whole(batch);
        }
        let mut cut = Self::default();
        for entry in batch {
            if is_message(entry) {
                cut.fresh.push(entry);
            } else {
                cut.rest.push(entry.clone());
            }
        }
        cut
    }

    /// Nothing of it is taken for new.
    pub fn whole(batch: &[Entry]) -> Self {
        Self { fresh: Vec::new(), rest: batch.to_vec() }
    }

    /// Writes the messages. False: some are known after all, and the transaction can only be undone.
    pub async fn write(&self, transaction: &mut Transaction) -> Result<bool, Error> {
        let rows: Vec<_> = self.fresh.iter().filter_map(|entry| NewRow::of(entry, Fate::New)).collect();
        let written = match transaction {
            _ if rows.is_empty() => return Ok(true),
            Transaction::Postgres(connection) => postgres::write::fresh(connection, &rows).await,
            Transaction::Sqlite(_) => return Ok(false), // has a way of its own, which needs no looking at all
        };
        match written {
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
            written => written.map_err(|error| Error::sort("store new messages", error)),
        }
    }
}

/// Ids and keys of a batch.
#[derive(Default)]
struct Seen<'a> {
    ids: HashSet<(&'a str, EventId)>,
    keys: HashSet<(&'a str, &'a str, &'a str)>,
}

impl<'a> Seen<'a> {
    fn is_new(&mut self, entry: &'a Entry) -> bool {
        match entry {
            Entry::Record(record) => {
                let event = &record.event;
                let room = event.room.as_str();
                self.ids.insert((room, event.id))
                    && self.keys.insert((room, event.sender.user.as_str(), event.key.as_str()))
            }
            Entry::Unreadable { place: Some((room, _, id)), .. } => self.ids.insert((room.as_str(), *id)),
            Entry::Unreadable { place: None, .. } => true,
        }
    }
}

fn is_message(entry: &Entry) -> bool {
    matches!(entry, Entry::Record(record) if record.event.kind == Kind::Message && record.event.target.is_none())
}
