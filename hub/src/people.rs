//! Who is connected to this hub, by user: the way to tell one person something, wherever they listen.

use crate::dialect::Dialect;
use crate::outbox::Outbox;
use crate::outbox::SessionId;
use confab_protocol::{Close, Signal, UserId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// One user's sessions.
type Sessions = HashMap<SessionId, Here>;

/// Where a session is told something, and in which words.
#[derive(Clone)]
pub struct Here {
    /// Its name.
    pub client: String,
    /// Where.
    pub outbox: Arc<Outbox>,
    /// How.
    pub dialect: Dialect,
}

/// The sessions of everyone who has shown who they are.
#[derive(Default)]
pub struct People {
    sessions: Mutex<HashMap<UserId, Sessions>>,
}

impl People {
    /// A session, which others know as `client`, belongs to this user from now on; false, and it does not, if the user has
    /// `max` sessions already.
    #[must_use]
    pub fn came(&self, user: &UserId, session: SessionId, here: Here, max: usize) -> bool {
        let mut all = self.sessions.lock();
        let sessions = all.entry(user.clone()).or_default();
        let may = sessions.len() < max;
        if may {
            sessions.insert(session, here);
        } else if sessions.is_empty() {
            all.remove(user);
        }
        may
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

    /// How many sessions a user has here.
    pub fn count(&self, user: &UserId) -> usize {
        self.sessions.lock().get(user).map_or(0, Sessions::len)
    }

    /// Everybody who is here.
    pub fn everybody(&self) -> Vec<UserId> {
        self.sessions.lock().keys().cloned().collect()
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.sessions.lock().is_empty()
    }

    /// The sessions of a user here.
    pub fn of(&self, user: &UserId) -> Vec<(SessionId, Here)> {
        let all = self.sessions.lock();
        all.get(user).into_iter().flatten().map(|(session, here)| (*session, here.clone())).collect()
    }

    /// Ends the sessions of a user here, or the one that others know as `client`; returns how many there were.
    pub fn close(&self, user: &UserId, client: Option<&str>, close: Close) -> usize {
        let sessions = self.meant(user, |here| client.is_none_or(|client| here.client == client));
        sessions.iter().for_each(|here| here.outbox.close(close));
        sessions.len()
    }

    /// Tells all sessions of a user here something; returns how many there are. A session that does not keep up is closed as slow,
    /// as by any frame.
    pub fn tell(&self, user: &UserId, signal: &Signal) -> usize {
        tell(&self.meant(user, |_| true), signal)
    }

    /// The same, but only the session that others know as `client`, if it is here.
    pub fn tell_session(&self, user: &UserId, client: &str, signal: &Signal) -> usize {
        tell(&self.meant(user, |here| here.client == client), signal)
    }

    fn meant(&self, user: &UserId, which: impl Fn(&Here) -> bool) -> Vec<Here> {
        let all = self.sessions.lock();
        let of_user = all.get(user).into_iter().flat_map(HashMap::values);
        of_user.filter(|here| which(here)).cloned().collect()
    }
}

fn tell(sessions: &[Here], signal: &Signal) -> usize {
    for Here { outbox, dialect, .. } in sessions {
        outbox.push(dialect.signal(signal));
    }
    sessions.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use confab_protocol::signal::Ban;

    #[test]
    fn a_person_is_told_in_every_session_and_nobody_else_is() {
        let people = People::default();
        let ada = UserId::new("ada").unwrap();
        let bob = UserId::new("bob").unwrap();
        let outboxes: Vec<_> = (0..3).map(|_| Arc::new(Outbox::new(1000))).collect();
        let here = |client: &str, outbox: usize, dialect| Here {
            client: client.to_owned(),
            outbox: outboxes[outbox].clone(),
            dialect,
        };
        assert!(people.came(&ada, 1, here("a", 0, Dialect::NativeJson), 2));
        assert!(people.came(&ada, 2, here("b", 1, Dialect::NativeProtobuf), 2));
        assert!(people.came(&bob, 3, here("c", 2, Dialect::NativeJson), 2));
        assert!(!people.came(&ada, 4, here("d", 2, Dialect::NativeJson), 2), "she has two already");
        assert_eq!((people.count(&ada), people.count(&bob)), (2, 1));
        let ban = Ban { room: None, until: None, reason: "enough".to_owned() };
        let signal = Signal::to_user(ada.clone(), ban);
        assert_eq!(people.tell(&ada, &signal), 2);
        assert!(outboxes[0].bytes() > 0 && outboxes[1].bytes() > 0 && outboxes[2].bytes() == 0);
        let before = outboxes[0].bytes();
        assert_eq!(people.tell_session(&ada, "b", &signal), 1);
        assert_eq!(people.tell_session(&ada, "elsewhere", &signal), 0);
        assert!(outboxes[0].bytes() == before && outboxes[2].bytes() == 0);
        people.went(&ada, 1);
        people.went(&ada, 2);
        people.went(&ada, 2);
        assert_eq!(people.tell(&ada, &signal), 0);
        people.went(&bob, 3);
        assert!(people.is_empty());
    }
}
