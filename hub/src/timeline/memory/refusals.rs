//! The refusals that keys are remembered for: bounded in time and in number.

use super::super::{Counters, Known};
use confab_protocol::{Key, Millis, Room, UserId};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

type Name = (Room, UserId, Key);

/// Refused keys and when each is forgotten. They are kept apart from their rooms because the past does not know them.
pub(super) struct Refusals {
    kept: HashMap<Name, (Millis, Known)>,
    order: VecDeque<(Millis, Name)>,
    max: usize,
    counters: Arc<Counters>,
}

impl Refusals {
    pub(super) fn new(max: usize, counters: Arc<Counters>) -> Self {
        Self { kept: HashMap::new(), order: VecDeque::new(), max: max.max(1), counters }
    }

    pub(super) fn get(&self, room: &Room, sender: &UserId, key: &Key, now: Millis) -> Option<Known> {
        let name = (room.clone(), sender.clone(), key.clone());
        self.kept.get(&name).filter(|(until, _)| *until > now).map(|(_, known)| known.clone())
    }

    pub(super) fn put(&mut self, room: &Room, sender: &UserId, key: &Key, known: Known, until: Millis, now: Millis) {
        while let Some((expiry, name)) = self.order.front() {
            let full = self.order.len() >= self.max;
            if *expiry > now && !full {
                break;
            }
            if *expiry > now {
                Counters::add(&self.counters.forgotten_refusals);
                tracing::warn!(room = %name.0, "refusal forgotten early, too many are held");
            }
            // A name that was put again has a younger place in the order; only the last one removes it.
            if self.kept.get(name).is_some_and(|(kept_until, _)| kept_until == expiry) {
                self.kept.remove(name);
            }
            self.order.pop_front();
        }
        let name = (room.clone(), sender.clone(), key.clone());
        self.order.push_back((until, name.clone()));
        self.kept.insert(name, (until, known));
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Outcome;
    use super::*;
    use confab_protocol::Refusal;

    fn put(refusals: &mut Refusals, key: &str, until: Millis, now: Millis) {
        let known =
            Known { digest: key.into(), outcome: Outcome::Refused(Refusal::PluginFault { plugin: "p".into() }) };
        let room = Room::new("r").unwrap();
        let user = UserId::new("u").unwrap();
        refusals.put(&room, &user, &Key::new(key).unwrap(), known, until, now);
    }

    fn has(refusals: &Refusals, key: &str, now: Millis) -> bool {
        refusals.get(&Room::new("r").unwrap(), &UserId::new("u").unwrap(), &Key::new(key).unwrap(), now).is_some()
    }

    #[test]
    fn refusals_end_with_their_time_and_are_never_more_than_allowed() {
        let counters = Arc::<Counters>::default();
        let mut refusals = Refusals::new(2, counters.clone());
        put(&mut refusals, "a", 10, 0);
        assert!(has(&refusals, "a", 9) && !has(&refusals, "a", 10));
        put(&mut refusals, "b", 20, 11);
        put(&mut refusals, "c", 21, 11);
        assert_eq!(counters.forgotten_refusals.load(std::sync::atomic::Ordering::Relaxed), 0);
        put(&mut refusals, "d", 22, 11);
        assert!(!has(&refusals, "b", 11) && has(&refusals, "c", 11) && has(&refusals, "d", 11));
        assert_eq!(counters.forgotten_refusals.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
