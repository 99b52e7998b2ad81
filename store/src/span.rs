//! How far a room's epoch is known without a hole.

use std::collections::BTreeSet;

/// What is known of the places of one (room, epoch).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    /// Every place up to this one has a row.
    pub through: i64,
    /// The highest place that has a row.
    pub top: i64,
    /// Up to here retention has removed everything.
    pub floor: i64,
    /// Places past `through` that this batch brings.
    fresh: BTreeSet<i64>,
    /// Something has changed since it was loaded.
    pub changed: bool,
}

impl Span {
    /// A span as the store has it.
    pub fn loaded(through: i64, top: i64, floor: i64) -> Self {
        Self { through, top, floor, ..Self::default() }
    }

    /// Notes that `seq` has a row.
    pub fn place(&mut self, seq: i64) {
        self.changed = true;
        self.top = self.top.max(seq);
        if seq > self.through {
            self.fresh.insert(seq);
        }
    }

    /// Moves `through` over what this batch brings. Returns whether rows stored earlier may go on from there: they only can
    /// if the batch filled the hole they were waiting behind.
    pub fn advance(&mut self) -> bool {
        let before = self.through;
        self.walk();
        self.through > before && self.through < self.top
    }

    /// Moves `through` over `stored`, places that have rows, in order; and then again over what this batch brings.
    /// Returns whether it moved.
    pub fn advance_over(&mut self, stored: &[i64]) -> bool {
        let before = self.through;
        for seq in stored {
            match seq - self.through {
                ..=0 => {}
                1 => self.through = *seq,
                _ => break,
            }
        }
        self.walk();
        self.through > before
    }

    fn walk(&mut self) {
        while let Some(first) = self.fresh.first().copied().filter(|first| *first <= self.through + 1) {
            self.fresh.remove(&first);
            self.through = self.through.max(first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Span;

    #[test]
    fn it_stops_at_a_hole_and_goes_on_when_the_hole_is_filled() {
        let mut span = Span::default();
        [1, 2, 4, 5].into_iter().for_each(|seq| span.place(seq));
        assert!(span.advance());
        assert_eq!((span.through, span.top), (2, 5));
        span.place(3);
        assert!(!span.advance());
        assert_eq!((span.through, span.top), (5, 5));
    }

    #[test]
    fn what_waited_in_the_store_is_taken_when_the_hole_is_filled() {
        let mut span = Span::loaded(2, 6, 0);
        span.place(7);
        assert!(!span.advance(), "the hole at 3 is still there");
        span.place(3);
        assert!(span.advance());
        assert!(span.advance_over(&[4, 5, 6]));
        assert_eq!(span.through, 7);
        assert!(!span.advance_over(&[]));
    }
}
