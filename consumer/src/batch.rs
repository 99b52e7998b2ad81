//! What goes into one transaction: records in the order in which they were read, and how far they reach.

use crate::source::Incoming;
use confab_store::{Advance, Entry};
use std::collections::BTreeMap;
use std::time::Instant;

/// Where the store is in each partition that is ours: the offset of the next record, `None` where it has none yet.
pub type Positions = BTreeMap<i32, Option<i64>>;

/// Records in the order in which they were read. A pure value.
#[derive(Debug)]
pub struct Batch {
    /// The records.
    pub records: Vec<Incoming>,
    /// When the first was read.
    pub began: Instant,
    bytes: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self { records: Vec::new(), began: Instant::now(), bytes: 0 }
    }
}

impl Batch {
    /// Adds records behind those that are here.
    pub fn extend(&mut self, records: Vec<Incoming>) {
        if self.records.is_empty() {
            self.began = Instant::now();
        }
        self.bytes += records.iter().map(Incoming::bytes).sum::<usize>();
        self.records.extend(records);
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How much the records weigh as they came, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What the store is given.
    pub fn entries(&self) -> Vec<Entry> {
        self.records.iter().map(|record| record.entry.clone()).collect()
    }

    /// How the positions move with it: from where the store is, past the highest offset of each partition.
    pub fn advances(&self, topic: &str, positions: &Positions) -> Vec<Advance> {
        let mut next: BTreeMap<i32, i64> = BTreeMap::new();
        for record in &self.records {
            let reached = next.entry(record.partition).or_insert(0);
            *reached = (*reached).max(record.offset + 1);
        }
        let expected = |partition| positions.get(&partition).copied().flatten();
        next.into_iter()
            .map(|(partition, next)| Advance {
                topic: topic.to_owned(),
                partition,
                expected: expected(partition),
                next,
            })
            .collect()
    }

    /// Two halves, to be stored one after the other; back as it is if there is nothing to halve.
    pub fn split(mut self) -> Result<(Self, Self), Self> {
        if self.records.len() < 2 {
            return Err(self);
        }
        let tail = self.records.split_off(self.records.len() / 2);
        let [first, second] = [self.records, tail].map(|records| {
            let mut half = Self::default();
            half.extend(records);
            Self { began: self.began, ..half }
        });
        Ok((first, second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(places: &[(i32, i64)]) -> Batch {
        let mut batch = Batch::default();
        batch.extend(
            places.iter().map(|&(partition, offset)| Incoming::unreadable_at(partition, offset, "test")).collect(),
        );
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
        assert_eq!(moves(&first, &Positions::from([(0, Some(5))])), [(0, Some(5), 6)]);
        assert_eq!(moves(&second, &Positions::from([(0, Some(6))])), [(0, Some(6), 8)]);
        assert!(first.split().is_err());
    }
}
