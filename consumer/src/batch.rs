//! What goes into one transaction: records in the order in which they were read, and how far they reach.

use crate::source::{Incoming, Origin, Positions};
use confab_protocol::{Cursor, EventId, Room};
use confab_store::{Advance, Entry};
use std::collections::BTreeMap;
use std::time::Instant;

/// Records in the order in which they were read. A pure value.
#[derive(Debug)]
pub struct Batch {
    /// What the store is given.
    pub entries: Vec<Entry>,
    /// Where each entry comes from, at the same index.
    pub origins: Vec<Origin>,
    /// When the first was read.
    pub began: Instant,
    bytes: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self { entries: Vec::new(), origins: Vec::new(), began: Instant::now(), bytes: 0 }
    }
}

impl Batch {
    /// Adds records behind those that are here.
    pub fn extend(&mut self, records: impl IntoIterator<Item = Incoming>) {
        if self.is_empty() {
            self.began = Instant::now();
        }
        for Incoming { entry, origin } in records {
            self.bytes += origin.bytes();
            self.entries.push(entry);
            self.origins.push(origin);
        }
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How much the records weigh as they came, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How the positions move with it: from where the store is, past the highest offset of each partition.
    pub fn advances(&self, topic: &str, positions: &Positions) -> Vec<Advance> {
        let mut reached: BTreeMap<i32, (i64, Option<EventId>)> = BTreeMap::new();
        for (origin, entry) in self.origins.iter().zip(&self.entries) {
            let here = reached.entry(origin.partition).or_insert((0, None));
            if origin.offset >= here.0 {
                *here = (origin.offset + 1, event_id(entry));
            }
        }
        let expected = |partition| positions.get(&partition).copied().flatten();
        reached
            .into_iter()
            .map(|(partition, (next, last))| Advance {
                topic: topic.to_owned(),
                partition,
                expected: expected(partition),
                next,
                last,
            })
            .collect()
    }

    /// Records that must go to the dead letters before they are stored, each with the reason.
    pub fn owing_letters(&mut self) -> impl Iterator<Item = (&mut Origin, &str)> {
        self.origins.iter_mut().zip(&self.entries).filter_map(|(origin, entry)| match entry {
            Entry::Unreadable { reason, .. } if !origin.lettered => Some((origin, reason.as_str())),
            _ => None,
        })
    }

    /// Makes every record one that only keeps its place; those that did so already lose even that.
    pub fn set_aside(&mut self, reason: &str) {
        for entry in &mut self.entries {
            *entry = Entry::Unreadable { place: place(entry), reason: reason.to_owned() };
        }
    }

    /// Two halves, to be stored one after the other; back as it is if there is nothing to halve.
    pub fn split(self) -> Result<(Self, Self), Self> {
        if self.len() < 2 {
            return Err(self);
        }
        let middle = self.len() / 2;
        let began = self.began;
        let mut records = self.entries.into_iter().zip(self.origins).map(|(entry, origin)| Incoming { entry, origin });
        let mut halves = [Self::default(), Self::default()];
        halves[0].extend(records.by_ref().take(middle));
        halves[1].extend(records);
        let [first, second] = halves.map(|half| Self { began, ..half });
        Ok((first, second))
    }
}

/// The id of the event that a record is of, if that is known.
pub fn event_id(entry: &Entry) -> Option<EventId> {
    match entry {
        Entry::Record(record) => Some(record.event.id),
        Entry::Unreadable { place, .. } => place.as_ref().map(|(_, _, id)| *id),
    }
}

/// The place of a record that could be read.
pub fn place(entry: &Entry) -> Option<(Room, Cursor, EventId)> {
    match entry {
        Entry::Record(found) => Some((found.event.room.clone(), found.cursor, found.event.id)),
        Entry::Unreadable { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(places: &[(i32, i64)]) -> Batch {
        let mut batch = Batch::default();
        batch.extend(places.iter().map(|&(partition, offset)| {
            let entry = Entry::Unreadable { place: None, reason: "test".into() };
            Incoming { entry, origin: Origin { partition, offset, key: vec![1], value: vec![2, 3], lettered: false } }
        }));
        batch
    }

    fn moves(batch: &Batch, positions: &Positions) -> Vec<(i32, Option<i64>, i64)> {
        batch.advances("t", positions).into_iter().map(|a| (a.partition, a.expected, a.next)).collect()
    }

    #[test]
    fn a_batch_moves_each_partition_from_the_store_past_its_highest_offset() {
        let positions = Positions::from([(0, Some(5)), (1, None), (2, Some(9))]);
        let batch = batch(&[(0, 5), (1, 0), (0, 6), (1, 3)]);
        assert_eq!(moves(&batch, &positions), [(0, Some(5), 7), (1, None, 4)]);
    }

    #[test]
    fn halves_keep_the_order_and_move_on_from_one_another() {
        let (first, second) = batch(&[(0, 5), (0, 6), (0, 7)]).split().unwrap();
        assert_eq!((first.len(), second.len()), (1, 2));
        assert_eq!((first.bytes(), second.bytes()), (3, 6));
        assert_eq!(moves(&first, &Positions::from([(0, Some(5))])), [(0, Some(5), 6)]);
        assert_eq!(moves(&second, &Positions::from([(0, Some(6))])), [(0, Some(6), 8)]);
        assert!(first.split().is_err());
    }

    #[test]
    fn what_is_set_aside_owes_one_letter() {
        let mut batch = batch(&[(0, 5), (0, 6)]);
        batch.origins[0].lettered = true;
        batch.set_aside("why");
        let owing: Vec<_> = batch.owing_letters().map(|(origin, reason)| (origin.offset, reason.to_owned())).collect();
        assert_eq!(owing, [(6, "why".to_owned())]);
    }
}
