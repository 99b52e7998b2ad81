//! What was sent, and who has it: each listener must hear each message of its room once, in order.

use std::collections::VecDeque;

/// A room's messages and listeners.
#[derive(Debug)]
pub struct Room {
    /// How many listen.
    listeners: u32,
    /// The next message's number.
    next: u64,
    /// The oldest message that somebody does not have yet, and of it and each later one how many do not.
    missing: VecDeque<u32>,
}

/// What must never be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Deliveries that never came.
    pub lost: u64,
    /// Deliveries that came again, or after a later one.
    pub astray: u64,
}

/// All rooms, and what was wrong with them.
#[derive(Debug, Default)]
pub struct Ledger {
    rooms: Vec<Room>,
    /// What went wrong so far.
    pub faults: Faults,
    /// How many deliveries came.
    pub delivered: u64,
}

impl Ledger {
    /// `rooms` rooms, each with so many listeners.
    pub fn new(rooms: u32, listeners: u32) -> Self {
        let room = |_| Room { listeners, next: 0, missing: VecDeque::new() };
        Self { rooms: (0..rooms).map(room).collect(), ..Self::default() }
    }

    /// Notes that a message is on its way; gives its number.
    pub fn sent(&mut self, room: u32) -> u64 {
        let room = &mut self.rooms[room as usize];
        room.missing.push_back(room.listeners);
        room.next += 1;
        room.next - 1
    }

    /// Notes that a listener, who expected number `expected`, heard `number`. Returns how many messages everybody has
    /// now who had not before.
    pub fn heard(&mut self, room: u32, number: u64, expected: &mut u64) -> u32 {
        let Some(room) = self.rooms.get_mut(room as usize).filter(|room| number < room.next) else {
            self.faults.astray += 1; // nobody sent it
            return 0;
        };
        if number < *expected {
            self.faults.astray += 1;
            return 0;
        }
        self.delivered += 1;
        self.faults.lost += number - *expected;
        let oldest = room.next - room.missing.len() as u64;
        for passed in *expected..=number {
            if let Some(missing) = passed.checked_sub(oldest).and_then(|at| room.missing.get_mut(at as usize)) {
                *missing = missing.saturating_sub(1);
            }
        }
        *expected = number + 1;
        let mut whole = 0;
        while room.missing.front() == Some(&0) {
            room.missing.pop_front();
            whole += 1;
        }
        whole
    }

    /// Of each room, the number of the message that is sent next.
    pub fn next(&self) -> Vec<u64> {
        self.rooms.iter().map(|room| room.next).collect()
    }

    /// Whether everybody has everything.
    pub fn is_complete(&self) -> bool {
        self.rooms.iter().all(|room| room.missing.is_empty())
    }

    /// Ends the account: what has not come by now is lost.
    pub fn close(&mut self) {
        let missing = self.rooms.iter().flat_map(|room| &room.missing);
        self.faults.lost += missing.map(|missing| u64::from(*missing)).sum::<u64>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_whole_when_everybody_has_it() {
        let mut ledger = Ledger::new(1, 2);
        assert_eq!([ledger.sent(0), ledger.sent(0)], [0, 1]);
        let (mut ada, mut ben) = (0, 0);
        assert_eq!(ledger.heard(0, 0, &mut ada), 0);
        assert_eq!(ledger.heard(0, 1, &mut ada), 0);
        assert_eq!(ledger.heard(0, 0, &mut ben), 1);
        assert!(!ledger.is_complete());
        assert_eq!(ledger.heard(0, 1, &mut ben), 1);
        assert!(ledger.is_complete());
        ledger.close();
        assert_eq!((ledger.faults, ledger.delivered), (Faults::default(), 4));
    }

    #[test]
    fn what_is_lost_doubled_swapped_or_made_up_is_found() {
        let run = |heard: &[u64]| {
            let mut ledger = Ledger::new(1, 1);
            (0..3).for_each(|_| _ = ledger.sent(0));
            let mut expected = 0;
            heard.iter().for_each(|number| _ = ledger.heard(0, *number, &mut expected));
            ledger.close();
            ledger.faults
        };
        assert_eq!(run(&[0, 1, 2]), Faults::default());
        assert_eq!(run(&[0, 1]), Faults { lost: 1, astray: 0 });
        assert_eq!(run(&[0, 2]), Faults { lost: 1, astray: 0 });
        assert_eq!(run(&[0, 1, 1, 2]), Faults { lost: 0, astray: 1 });
        assert_eq!(run(&[1, 0, 2]), Faults { lost: 1, astray: 1 });
        assert_eq!(run(&[0, 1, 2, 3]), Faults { lost: 0, astray: 1 });
    }
}
