//! Which decisions were told here, so that each is told once, however often it is heard and found in the store.

use confab_protocol::EventId;
use confab_protocol::signal::Decision;
use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};

/// The most decisions that are remembered. The store is asked for a few hundred of the last seconds, so none of those is forgotten.
const REMEMBERED_MAX: usize = 4096;

/// An event, and what was decided about it.
type Key = (EventId, String);

/// The decisions that were told.
#[derive(Default)]
pub(super) struct Told(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    all: HashSet<Key>,
    /// The oldest first.
    order: VecDeque<Key>,
}

impl Told {
    /// Whether this is the first time. It is remembered that it is not any more.
    pub(super) fn first(&self, decision: &Decision) -> bool {
        let key: Key = (decision.id, decision.decision.clone());
        let mut remembered = self.0.lock();
        if !remembered.all.insert(key.clone()) {
            return false;
        }
        remembered.order.push_back(key);
        if remembered.order.len() > REMEMBERED_MAX
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.all.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use confab_protocol::{Key, Room};

    fn decision(id: EventId, decision: &str) -> Decision {
        let room = Room::new("lobby").unwrap();
        let key = Key::new("k").unwrap();
        Decision { id, room, key, decision: decision.to_owned(), reason: None }
    }

    #[test]
    fn a_decision_is_told_once_and_another_one_about_the_same_event_as_well() {
        let told = Told::default();
        let id = EventId::fresh();
        assert!(told.first(&decision(id, "denied")) && !told.first(&decision(id, "denied")));
        assert!(told.first(&decision(id, "approved")), "it was overruled");
        for _ in 0..REMEMBERED_MAX * 2 {
            assert!(told.first(&decision(EventId::fresh(), "denied")));
        }
        let remembered = told.0.lock();
        assert_eq!((remembered.all.len(), remembered.order.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
    }
}
