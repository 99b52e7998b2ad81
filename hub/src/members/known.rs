//! What this hub knows of the people who are connected to it: of each, their rooms.

use super::Standing;
use confab_protocol::{Room, UserId};
use confab_store::{Member, Role};
use parking_lot::RwLock;
use std::collections::HashMap;

/// Those of whom anything is known.
#[derive(Default)]
pub struct KnownMembers {
    users: RwLock<HashMap<UserId, Known>>,
}

#[derive(Default)]
struct Known {
    /// How many of their sessions are connecting: these are not among those who are here yet.
    connecting: usize,
    /// Whether all their rooms were read.
    loaded: bool,
    /// What they are in each room, and by which version. While not everything was read, also where they are nothing any more:
    /// what was read before their removal must not bring them back.
    rooms: HashMap<Room, (Option<Role>, u64)>,
}

impl Known {
    /// Takes in what is newer; whether it is another role than before.
    fn take(&mut self, room: &Room, role: Option<Role>, version: u64) -> bool {
        let before = self.rooms.get(room).copied();
        if before.is_some_and(|(_, known)| known >= version) {
            return false;
        }
        if role.is_none() && self.loaded {
            self.rooms.remove(room);
        } else {
            self.rooms.insert(room.clone(), (role, version));
        }
        before.and_then(|(role, _)| role) != role
    }
}

impl KnownMembers {
    /// What somebody is in a room; `None` if nothing is known of them.
    pub fn of(&self, user: &UserId, room: &Room) -> Option<Standing> {
        let users = self.users.read();
        let known = users.get(user)?;
        Some(match known.rooms.get(room) {
            Some((Some(role), _)) => Standing::In(*role),
            Some((None, _)) => Standing::Out,
            None if known.loaded => Standing::Out,
            None => Standing::Unknown,
        })
    }

    /// A session of somebody is connecting; whether their rooms are still to be read.
    pub fn comes(&self, user: &UserId) -> bool {
        let mut users = self.users.write();
        let known = users.entry(user.clone()).or_default();
        known.connecting += 1;
        !known.loaded
    }

    /// A session of somebody is connecting no more.
    pub fn settles(&self, user: &UserId) {
        if let Some(known) = self.users.write().get_mut(user) {
            known.connecting = known.connecting.saturating_sub(1);
        }
    }

    /// Lets go of what is known of somebody who is not here and of whom no session is connecting.
    pub fn goes(&self, user: &UserId, is_here: impl FnOnce() -> bool) {
        let mut users = self.users.write();
        if users.get(user).is_some_and(|known| known.connecting == 0) && !is_here() {
            users.remove(user);
        }
    }

    /// All rooms of somebody were read.
    pub fn loaded(&self, user: &UserId, rooms: Vec<Member>) {
        let mut users = self.users.write();
        let Some(known) = users.get_mut(user) else { return }; // they are gone by now
        for Member { room, role, version, .. } in rooms {
            known.take(&room, role, version);
        }
        known.loaded = true;
        known.rooms.retain(|_, (role, _)| role.is_some());
    }

    /// Somebody's membership has changed. Whether it is news of somebody who is here.
    pub fn take(&self, Member { room, user, role, version }: &Member, is_here: impl FnOnce() -> bool) -> bool {
        let mut users = self.users.write();
        if let Some(known) = users.get_mut(user) {
            return known.take(room, *role, *version);
        }
        // Nothing was read of them, since nobody was a member of anything.
        if role.is_none() || !is_here() {
            return false;
        }
        let known = users.entry(user.clone()).or_insert(Known { loaded: true, ..Known::default() });
        known.take(room, *role, *version)
    }

    /// Everything is to be read again, also of these people, of whom perhaps nothing was.
    pub fn forget(&self, here: Vec<UserId>) {
        let mut users = self.users.write();
        here.into_iter().for_each(|user| _ = users.entry(user).or_default());
        for known in users.values_mut() {
            known.loaded = false;
            known.rooms.clear();
        }
    }

    /// At most so many of those whose rooms are still to be read.
    pub fn not_loaded(&self, most: usize) -> Vec<UserId> {
        let users = self.users.read();
        users.iter().filter(|(_, known)| !known.loaded).map(|(user, _)| user.clone()).take(most).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(role: Option<Role>, version: u64) -> Member {
        Member { room: Room::new("team:1").unwrap(), user: UserId::new("ada").unwrap(), role, version }
    }

    fn standing(known: &KnownMembers) -> Option<Standing> {
        known.of(&UserId::new("ada").unwrap(), &Room::new("team:1").unwrap())
    }

    #[test]
    fn what_was_read_before_a_removal_does_not_bring_anybody_back() {
        let known = KnownMembers::default();
        let ada = UserId::new("ada").unwrap();
        assert!(known.comes(&ada));
        assert_eq!(standing(&known), Some(Standing::Unknown));
        assert!(!known.take(&member(None, 5), || true), "nothing was known of them there");
        known.loaded(&ada, vec![member(Some(Role::Member), 4)]);
        assert_eq!(standing(&known), Some(Standing::Out));
        assert!(known.take(&member(Some(Role::Owner), 6), || true));
        assert_eq!(standing(&known), Some(Standing::In(Role::Owner)));
        assert!(!known.take(&member(None, 6), || true), "what is not newer changes nothing");
        assert!(known.take(&member(None, 7), || true));
        assert_eq!(standing(&known), Some(Standing::Out));
    }

    #[test]
    fn somebody_is_known_until_their_last_session_has_gone() {
        let known = KnownMembers::default();
        let ada = UserId::new("ada").unwrap();
        known.comes(&ada);
        known.comes(&ada);
        known.loaded(&ada, vec![member(Some(Role::Member), 1)]);
        known.settles(&ada);
        known.goes(&ada, || false);
        assert_eq!(standing(&known), Some(Standing::In(Role::Member)), "another session is connecting");
        known.settles(&ada);
        known.goes(&ada, || true);
        assert!(standing(&known).is_some(), "one is here");
        known.goes(&ada, || false);
        assert_eq!(standing(&known), None);
        assert!(!known.take(&member(Some(Role::Member), 2), || false), "and nobody waits for news of them");
        assert!(
            known.take(&member(Some(Role::Member), 2), || true),
            "but somebody of whom nothing was read may be here"
        );
    }

    #[test]
    fn what_is_to_be_read_again_is_not_known_until_it_was() {
        let known = KnownMembers::default();
        let ada = UserId::new("ada").unwrap();
        known.comes(&ada);
        known.loaded(&ada, vec![member(Some(Role::Member), 1)]);
        assert!(!known.comes(&ada) && known.not_loaded(10).is_empty());
        known.forget(vec![UserId::new("bob").unwrap()]);
        assert_eq!(standing(&known), Some(Standing::Unknown));
        assert_eq!(known.not_loaded(10).len(), 2, "also who was here and of whom nothing was read");
    }
}
