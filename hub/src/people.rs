//! Who is connected to this hub, by user: the way to tell one person something, wherever they listen.

use crate::outbox::Outbox;
use crate::room::SessionId;
use crate::session::Dialect;
use confab_protocol::{Body, UserId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Where one user's sessions are told something, and in which words.
type Sessions = HashMap<SessionId, (Arc<Outbox>, Dialect)>;

/// The sessions of everyone who has shown who they are.
#[derive(Default)]
pub struct People {
    sessions: Mutex<HashMap<UserId, Sessions>>,
}

impl People {
    /// A session belongs to this user from now on.
    pub fn came(&self, user: &UserId, session: SessionId, outbox: Arc<Outbox>, dialect: Dialect) {
        self.sessions.lock().entry(user.clone()).or_default().insert(session, (outbox, dialect));
    }

    /// A session ends.
    pub fn went(&self, user: &UserId, session: SessionId) {
        let mut all = self.sessions.lock();
        if let Some(sessions) = all.get_mut(user) {
            sessions.remove(&session);
            if sessions.is_empty() {
                all.remove(user);
            }
        }
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.sessions.lock().is_empty()
    }

    /// Sends a message outside of any room to all sessions of a user here; returns how many there are. A session that does
    /// not keep up is closed as slow, as by any frame.
    pub fn tell(&self, user: &UserId, message: &Body) -> usize {
        let sessions: Vec<_> = match self.sessions.lock().get(user) {
            Some(sessions) => sessions.values().cloned().collect(),
            None => return 0,
        };
        for (outbox, dialect) in &sessions {
            outbox.push(dialect.message(message));
        }
        sessions.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_in_every_session_and_nobody_else_is() {
        let (people, ada, bob) = (People::default(), UserId::new("ada").unwrap(), UserId::new("bob").unwrap());
        let outboxes: Vec<_> = (0..3).map(|_| Arc::new(Outbox::new(1000))).collect();
        people.came(&ada, 1, outboxes[0].clone(), Dialect::NativeJson);
        people.came(&ada, 2, outboxes[1].clone(), Dialect::NativeProtobuf);
        people.came(&bob, 3, outboxes[2].clone(), Dialect::NativeJson);
        assert_eq!(people.tell(&ada, &Body::parse("{\"type\":\"x\"}").unwrap()), 2);
        assert!(outboxes[0].bytes() > 0 && outboxes[1].bytes() > 0 && outboxes[2].bytes() == 0);
        people.went(&ada, 1);
        people.went(&ada, 2);
        people.went(&ada, 2);
        assert_eq!(people.tell(&ada, &Body::null()), 0);
        people.went(&bob, 3);
        assert!(people.is_empty());
    }
}
