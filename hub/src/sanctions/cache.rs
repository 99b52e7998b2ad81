//! What this hub knows of one kind of sanction: most hubs know nothing, and look no further.

use confab_protocol::{Millis, Room, UserId};
use confab_store::Sanction;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// For how much longer somebody is kept from something (`None`: for good), and why.
pub type Left = (Option<Millis>, String);

/// Those that stand, by user and place; `None` is everywhere.
#[derive(Default)]
pub struct SanctionCache {
    known: RwLock<HashMap<UserId, Places>>,
    /// Of how many users something is known.
    users: AtomicUsize,
}

type Places = HashMap<Option<Room>, Entry>;

struct Entry {
    until: Option<Millis>,
    reason: String,
    /// It is in the store; if not, it was said here and may be nowhere else.
    kept: bool,
}

impl SanctionCache {
    /// What stands against a user in a room, or everywhere.
    pub fn of(&self, user: &UserId, room: &Room, now: Millis) -> Option<Left> {
        self.look(user, |here| {
            let left = |place| here.get(&place)?.left(now);
            left(None).or_else(|| left(Some(room.clone())))
        })
    }

    /// What stands against a user everywhere.
    pub fn everywhere(&self, user: &UserId, now: Millis) -> Option<Left> {
        self.look(user, |here| here.get(&None)?.left(now))
    }

    /// Whether anything is known against a user, also what may be over.
    pub fn knows(&self, user: &UserId) -> bool {
        self.look(user, |_| Some(())).is_some()
    }

    fn look<T>(&self, user: &UserId, find: impl FnOnce(&Places) -> Option<T>) -> Option<T> {
        match self.users.load(Ordering::Relaxed) {
            0 => None,
            _ => find(self.known.read().get(user)?),
        }
    }

    /// What the store says.
    pub fn replace(&self, sanction: &Sanction) {
        self.put(sanction, true, |_| true);
    }

    /// What is said here, and is not in the store yet: it counts only where it lasts longer.
    pub fn extend(&self, sanction: &Sanction) {
        let end = |until: Option<Millis>| until.unwrap_or(Millis::MAX);
        self.put(sanction, false, |before| end(before.until) < end(sanction.until));
    }

    fn put(&self, sanction: &Sanction, kept: bool, over: impl FnOnce(&Entry) -> bool) {
        let mut known = self.known.write();
        let here = known.entry(sanction.user.clone()).or_default();
        if here.get(&sanction.room).is_none_or(over) {
            let Sanction { room, until, reason, .. } = sanction.clone();
            here.insert(room, Entry { until, reason, kept });
        }
        self.users.store(known.len(), Ordering::Relaxed);
    }

    /// It has ended.
    pub fn forget(&self, user: &UserId, room: Option<&Room>) {
        self.remove(user, room, |_| true);
    }

    /// Ends what was said here and is not in the store; whether there was something.
    pub fn forget_own(&self, user: &UserId, room: Option<&Room>) -> bool {
        self.remove(user, room, |entry| !entry.kept)
    }

    fn remove(&self, user: &UserId, room: Option<&Room>, which: impl FnOnce(&Entry) -> bool) -> bool {
        let mut known = self.known.write();
        let place = room.cloned();
        let Some(here) = known.get_mut(user) else { return false };
        if !here.get(&place).is_some_and(which) {
            return false;
        }
        here.remove(&place);
        if here.is_empty() {
            known.remove(user);
        }
        self.users.store(known.len(), Ordering::Relaxed);
        true
    }

    /// Lets go of what is over.
    pub fn tidy(&self, now: Millis) {
        self.retain(|entry| entry.left(now).is_some());
    }

    /// Lets go of all that the store had.
    pub fn forget_kept(&self) {
        self.retain(|entry| !entry.kept);
    }

    fn retain(&self, stays: impl Fn(&Entry) -> bool) {
        let mut known = self.known.write();
        known.retain(|_, here| {
            here.retain(|_, entry| stays(entry));
            !here.is_empty()
        });
        self.users.store(known.len(), Ordering::Relaxed);
    }
}

impl Entry {
    fn left(&self, now: Millis) -> Option<Left> {
        let left = match self.until {
            None => None,
            Some(until) => Some(until.checked_sub(now).filter(|left| *left > 0)?),
        };
        Some((left, self.reason.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use confab_store::SanctionKind;

    fn ban(user: &str, room: Option<&Room>, until: Option<Millis>) -> Sanction {
        let user = UserId::new(user).unwrap();
        let room = room.cloned();
        let reason = "enough".to_owned();
        Sanction { kind: SanctionKind::Ban, room, user, until, reason, by: "mia".into(), at: 0 }
    }

    #[test]
    fn who_is_kept_out_everywhere_is_kept_out_of_every_room() {
        let cache = SanctionCache::default();
        let lobby = Room::new("lobby").unwrap();
        let garden = Room::new("garden").unwrap();
        let [ada, bob] = ["ada", "bob"].map(|user| UserId::new(user).unwrap());
        let left = |user, room, now| cache.of(user, room, now).map(|(left, _)| left);
        assert_eq!(left(&ada, &lobby, 0), None);
        cache.replace(&ban("ada", Some(&lobby), Some(500)));
        cache.replace(&ban("bob", None, None));
        assert_eq!((left(&ada, &lobby, 100), left(&ada, &garden, 100)), (Some(Some(400)), None));
        assert_eq!(left(&ada, &lobby, 500), None, "it ends by itself");
        assert_eq!((left(&bob, &lobby, 100), left(&bob, &garden, 900)), (Some(None), Some(None)));
        assert!(cache.everywhere(&ada, 0).is_none() && cache.everywhere(&bob, 0).is_some());
        cache.tidy(600);
        assert!(!cache.knows(&ada) && cache.knows(&bob));
        cache.forget(&bob, Some(&lobby));
        assert!(cache.knows(&bob), "a room's is not everywhere's");
        cache.forget(&bob, None);
        assert!(!cache.knows(&bob) && cache.of(&bob, &lobby, 0).is_none());
    }

    #[test]
    fn what_is_said_here_only_lengthens_and_is_ended_here_only_until_the_store_has_it() {
        let cache = SanctionCache::default();
        let lobby = Room::new("lobby").unwrap();
        let ada = UserId::new("ada").unwrap();
        let end = || cache.of(&ada, &lobby, 0).and_then(|(left, _)| left);
        cache.extend(&ban("ada", Some(&lobby), Some(500)));
        cache.extend(&ban("ada", Some(&lobby), Some(400)));
        assert_eq!(end(), Some(500));
        assert!(cache.forget_own(&ada, Some(&lobby)) && !cache.forget_own(&ada, Some(&lobby)));
        cache.replace(&ban("ada", Some(&lobby), Some(300)));
        cache.extend(&ban("ada", Some(&lobby), Some(200)));
        assert!(!cache.forget_own(&ada, Some(&lobby)), "the store has it");
        assert_eq!(end(), Some(300));
    }
}
