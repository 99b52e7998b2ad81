//! A room's listeners: found by their session, told one after the other, and counted while they join.

use super::{Listener, ListenerState, Ticket};
use crate::outbox::SessionId;
use std::collections::HashMap;

/// Listeners, one for each session. Their order means nothing.
#[derive(Default)]
pub struct Listeners {
    list: Vec<Listener>,
    place: HashMap<SessionId, usize>,
    joining: usize,
}

impl Listeners {
    /// Adds a listener, in place of one of the same session.
    pub fn put(&mut self, listener: Listener) {
        self.remove(listener.session);
        self.joining += usize::from(listener.is_joining());
        self.place.insert(listener.session, self.list.len());
        self.list.push(listener);
    }

    /// Removes a session's listener, if it has one.
    pub fn remove(&mut self, session: SessionId) {
        let Some(place) = self.place.remove(&session) else { return };
        let removed = self.list.swap_remove(place);
        self.joining -= usize::from(removed.is_joining());
        if let Some(moved) = self.list.get(place) {
            self.place.insert(moved.session, place);
        }
    }

    /// A session's listener.
    pub fn get(&self, session: SessionId) -> Option<&Listener> {
        self.list.get(*self.place.get(&session)?)
    }

    /// A session's listener, if it is joining under this ticket.
    pub fn joining(&self, session: SessionId, ticket: Ticket) -> Option<&Listener> {
        let standing = |one: &&Listener| matches!(one.state, ListenerState::Joining(standing) if standing == ticket);
        self.get(session).filter(standing)
    }

    /// Puts a session's listener into another stage.
    pub fn set(&mut self, session: SessionId, state: ListenerState) {
        let Some(place) = self.place.get(&session) else { return };
        let listener = &mut self.list[*place];
        self.joining -= usize::from(listener.is_joining());
        listener.state = state;
        self.joining += usize::from(listener.is_joining());
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Listener> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many are joining.
    pub fn count_joining(&self) -> usize {
        self.joining
    }
}

impl Listener {
    fn is_joining(&self) -> bool {
        matches!(self.state, ListenerState::Joining(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use crate::outbox::Outbox;
    use confab_protocol::Cursor;
    use std::sync::Arc;
    use uuid::Uuid;

    fn listener(session: SessionId, state: ListenerState) -> Listener {
        let outbox = Arc::new(Outbox::new(1));
        let dialect = Dialect::NativeJson;
        Listener { session, client: Uuid::nil(), outbox, dialect, join_leave: false, given: false, state }
    }

    #[test]
    fn each_session_is_found_whoever_comes_and_goes() {
        let mut listeners = Listeners::default();
        for session in 0..10 {
            listeners.put(listener(session, ListenerState::Joining(session)));
        }
        listeners.put(listener(3, ListenerState::Joining(30))); // once more
        for session in [0, 9, 4, 4, 77] {
            listeners.remove(session);
        }
        let left: Vec<_> = (0..10).filter(|session| listeners.get(*session).is_some()).collect();
        assert_eq!(left, [1, 2, 3, 5, 6, 7, 8]);
        assert!(left.iter().all(|session| listeners.get(*session).unwrap().session == *session));
        assert_eq!((listeners.len(), listeners.count_joining()), (7, 7));
        assert!(listeners.joining(3, 3).is_none() && listeners.joining(3, 30).is_some());
    }

    #[test]
    fn those_who_are_joining_are_counted() {
        let mut listeners = Listeners::default();
        listeners.put(listener(1, ListenerState::Joining(1)));
        listeners.put(listener(2, ListenerState::Joining(2)));
        listeners.set(1, ListenerState::Live(Cursor::new(1, 1)));
        listeners.set(7, ListenerState::MustRejoin);
        assert_eq!(listeners.count_joining(), 1);
        listeners.remove(2);
        assert_eq!(listeners.count_joining(), 0);
    }
}
