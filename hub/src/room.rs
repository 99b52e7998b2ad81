//! The rooms of this hub: which local sessions listen, and up to where each room has been heard.

use crate::outbox::{Frame, Outbox};
use crate::session::{Dialect, Unsubscribed};
use confab_protocol::{Close, Cursor, Passage, Record, Room};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// One socket's number, unique in this process.
pub type SessionId = u64;

/// The most events that may arrive while a session is joining; past it the client is told to join again.
const JOINING_EVENTS_MAX: usize = 4096;

/// Every room that has a local listener.
#[derive(Default)]
pub struct Rooms {
    rooms: Mutex<HashMap<Room, Arc<LocalRoom>>>,
}

/// A room's local listeners.
pub struct LocalRoom {
    /// Its name.
    pub name: Room,
    /// Held while the hub's subscription to the room is being made or given up; true while it is live.
    pub link: tokio::sync::Mutex<bool>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last place heard. `None` until the first listener is live.
    heard: Option<Cursor>,
    listeners: Vec<Listener>,
}

/// A session on its way into a room.
#[derive(Clone)]
pub struct Newcomer {
    /// Which.
    pub session: SessionId,
    /// Where it is told what happens.
    pub outbox: Arc<Outbox>,
    /// How.
    pub dialect: Dialect,
    /// It asked to be told who comes and goes.
    pub join_leave: bool,
    /// It did not ask for the room, so it cannot be told to join again: it is closed instead, and comes back.
    pub given: bool,
}

struct Listener {
    session: SessionId,
    outbox: Arc<Outbox>,
    dialect: Dialect,
    join_leave: bool,
    given: bool,
    stage: Stage,
}

enum Stage {
    /// Its catch-up is being read: what arrives meanwhile waits here.
    Joining(Vec<Arc<Record>>),
    /// It hears everything after this place.
    Live(Cursor),
    /// It has been told to join again: nothing more until it does.
    Unhinged,
}

/// What an event met in a room.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was the next one and has been delivered.
    Delivered,
    /// It has been heard before.
    Old,
    /// Something between this place and the event is missing.
    Gap(Cursor),
}

impl Rooms {
    /// The room, made if it is not there.
    pub fn enter(&self, name: &Room) -> Arc<LocalRoom> {
        let mut rooms = self.rooms.lock();
        rooms
            .entry(name.clone())
            .or_insert_with(|| {
                Arc::new(LocalRoom {
                    name: name.clone(),
                    link: tokio::sync::Mutex::new(false),
                    state: Mutex::default(),
                })
            })
            .clone()
    }

    /// The room, if it has ever had a listener that has not left.
    pub fn get(&self, name: &Room) -> Option<Arc<LocalRoom>> {
        self.rooms.lock().get(name).cloned()
    }

    /// Whether `room` is (still) the one of that name.
    pub fn holds(&self, room: &Arc<LocalRoom>) -> bool {
        self.rooms.lock().get(&room.name).is_some_and(|held| Arc::ptr_eq(held, room))
    }

    /// Forgets the room if nobody listens. Called with its `link` held, so that nobody is joining it.
    pub fn forget(&self, room: &Arc<LocalRoom>) -> bool {
        let mut rooms = self.rooms.lock();
        let empty = room.state.lock().listeners.is_empty();
        if empty {
            rooms.remove(&room.name);
        }
        empty
    }

    /// All rooms, for comparing.
    pub fn all(&self) -> Vec<Arc<LocalRoom>> {
        self.rooms.lock().values().cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rooms.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rooms.lock().is_empty()
    }
}

impl LocalRoom {
    /// Adds a listener whose catch-up is about to be read.
    pub fn join(&self, who: Newcomer) {
        let Newcomer { session, outbox, dialect, join_leave, given } = who;
        let mut state = self.state.lock();
        state.listeners.retain(|listener| listener.session != session); // one that was told to join again
        state.listeners.push(Listener {
            session,
            outbox,
            dialect,
            join_leave,
            given,
            stage: Stage::Joining(Vec::new()),
        });
    }

    /// Whether this session listens here and has not been told to join again.
    pub fn holds(&self, session: SessionId) -> bool {
        let state = self.state.lock();
        state.listeners.iter().any(|l| l.session == session && !matches!(l.stage, Stage::Unhinged))
    }

    /// Removes a listener; true if nobody is left.
    pub fn leave(&self, session: SessionId) -> bool {
        let mut state = self.state.lock();
        state.listeners.retain(|listener| listener.session != session);
        state.listeners.is_empty()
    }

    /// The listener has caught up to `after`: queues `reply`, then what arrived meanwhile, and from now on all that
    /// comes. One lock, so that nothing comes between. False: too much arrived, and it has been told to join again.
    pub fn go_live(&self, session: SessionId, after: Cursor, reply: Option<Frame>) -> bool {
        let mut state = self.state.lock();
        if state.heard.is_none() {
            state.heard = Some(after);
        }
        let Some(listener) = state.listeners.iter_mut().find(|listener| listener.session == session) else {
            return true;
        };
        if let Some(reply) = reply {
            listener.outbox.push(reply);
        }
        let Stage::Joining(waiting) = std::mem::replace(&mut listener.stage, Stage::Live(after)) else { return true };
        if waiting.len() > JOINING_EVENTS_MAX || waiting.iter().any(|record| record.cursor.epoch > after.epoch) {
            listener.unhinge(&self.name);
            return false;
        }
        for record in waiting.iter().filter(|record| record.cursor > after) {
            listener.outbox.push(listener.dialect.publication(record));
        }
        true
    }

    /// The last place heard.
    pub fn heard(&self) -> Option<Cursor> {
        self.state.lock().heard
    }

    /// Delivers an event if it is the next one.
    pub fn hear(&self, record: &Arc<Record>) -> Heard {
        let mut state = self.state.lock();
        let (place, heard) = (record.cursor, state.heard);
        match heard {
            Some(last) if place <= last => return Heard::Old,
            Some(last) if place.epoch != last.epoch || place.offset != last.offset + 1 => return Heard::Gap(last),
            _ => {}
        }
        state.heard = Some(place);
        state.deliver(record);
        Heard::Delivered
    }

    /// Tells the listeners who asked for it that somebody came or went.
    pub fn announce(&self, passage: &Passage) {
        let mut encoded: [Option<Frame>; Dialect::COUNT] = Default::default();
        let state = self.state.lock();
        let told = state.listeners.iter().filter(|one| one.join_leave && matches!(one.stage, Stage::Live(_)));
        for Listener { outbox, dialect, .. } in told {
            let write = || dialect.presence(&self.name, &passage.who, passage.here);
            outbox.push(encoded[dialect.index()].get_or_insert_with(write).clone());
        }
    }

    /// The room's timeline went on in a way that cannot be told as events: every listener is told to join again, and
    /// the room goes on from `place`.
    pub fn start_over(&self, place: Cursor) {
        let mut state = self.state.lock();
        state.heard = Some(place);
        for listener in &mut state.listeners {
            if matches!(listener.stage, Stage::Live(_)) {
                listener.unhinge(&self.name);
            }
        }
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.state.lock().listeners.len()
    }
}

impl State {
    /// Queues the event for each listener, encoded once per dialect.
    fn deliver(&mut self, record: &Arc<Record>) {
        let mut encoded: [Option<Frame>; Dialect::COUNT] = Default::default();
        for listener in &mut self.listeners {
            match &mut listener.stage {
                Stage::Joining(waiting) if waiting.len() <= JOINING_EVENTS_MAX => waiting.push(record.clone()),
                Stage::Live(after) if record.cursor > *after => {
                    let frame =
                        encoded[listener.dialect.index()].get_or_insert_with(|| listener.dialect.publication(record));
                    listener.outbox.push(frame.clone());
                }
                Stage::Joining(_) | Stage::Live(_) | Stage::Unhinged => {}
            }
        }
    }
}

impl Listener {
    /// Tells the client to join again, from the place it holds.
    fn unhinge(&mut self, room: &Room) {
        self.stage = Stage::Unhinged;
        match self.dialect.unsubscribed(room, Unsubscribed::InsufficientState) {
            told if self.given || told.is_empty() => self.outbox.close(Close::InsufficientState),
            told => self.outbox.push(told),
        }
    }
}
