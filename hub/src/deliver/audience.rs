//! Tells people on this hub which rooms are theirs, and takes them out of those that are not any more.

use crate::members::Audience;
use crate::people::{Here, People};
use crate::room::Rooms;
use confab_protocol::signal::RoomsChanged;
use confab_protocol::{Room, Signal, UserId};
use confab_store::Role;
use std::sync::Arc;

/// The people of this hub, and the rooms in which they listen.
pub struct LocalAudience {
    /// Who is connected.
    pub people: Arc<People>,
    /// Where they listen.
    pub rooms: Arc<Rooms>,
}

impl Audience for LocalAudience {
    fn is_here(&self, user: &UserId) -> bool {
        self.people.count(user) > 0
    }

    fn everybody(&self) -> Vec<UserId> {
        self.people.everybody()
    }

    fn read_anew(&self, user: &UserId) {
        self.people.of(user).iter().for_each(|(_, here)| here.outbox.wake());
    }

    /// Whoever was removed hears nothing more of the room from here on, whatever their sessions are busy with; those leave it as soon
    /// as they look up.
    fn changed(&self, user: &UserId, room: &Room, role: Option<Role>) {
        let told = RoomsChanged { room: room.clone(), role: role.map(|role| role.as_str().to_owned()) };
        let signal = Signal::to_user(user.clone(), told);
        for (session, Here { outbox, dialect, .. }) in self.people.of(user) {
            if role.is_none() {
                if let Some(room) = self.rooms.get(room) {
                    room.leave(session);
                }
                outbox.wake();
            }
            outbox.push(dialect.signal(&signal));
        }
    }
}
