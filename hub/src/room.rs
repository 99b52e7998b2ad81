//! The rooms of this hub: which local sessions listen, and up to where each room has been heard.

mod listeners;
pub mod page_cache;

use crate::dialect::{Dialect, Unsubscribed};
use crate::outbox::{Frame, Outbox, SessionId};
use confab_protocol::signal::{Typing, What};
use confab_protocol::{Close, Cursor, Kind, Record, Room, Signal};
use listeners::Listeners;
use page_cache::{PageCache, weigh};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use uuid::Uuid;

/// The most events of a room that are kept at hand while somebody joins; older ones are read from the timeline.
const RECENT_EVENTS_MAX: usize = 256;
/// The most bytes of them, roughly.
const RECENT_BYTES_MAX: usize = 128 * 1024;

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
    /// Pages of its past. Whatever is read for them is read while the room is subscribed.
    pub pages: PageCache,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last place heard. `None` until the timeline was asked where the room stands, or something is heard.
    heard: Option<Cursor>,
    listeners: Listeners,
    /// What was heard lately, while somebody is joining.
    recent: Option<Recent>,
    tickets: u64,
}

/// The last events heard, without a gap, up to the last place heard.
struct Recent {
    /// The place before the first.
    after: Cursor,
    events: VecDeque<Arc<Record>>,
    bytes: usize,
}

/// Names one joining of a session, so that what belongs to an earlier one is not taken for it.
pub type Ticket = u64;

/// How a listener stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It hears everything from now on.
    Live,
    /// There is more to read before it may hear what comes.
    Behind,
    /// It has left, or was told to join again.
    Gone,
}

/// A session on its way into a room.
#[derive(Clone)]
pub struct JoinRequest {
    /// Which.
    pub session: SessionId,
    /// What others know it as, on every hub.
    pub client: Uuid,
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
    client: Uuid,
    outbox: Arc<Outbox>,
    dialect: Dialect,
    join_leave: bool,
    given: bool,
    state: ListenerState,
}

enum ListenerState {
    /// It is being given what it missed.
    Joining(Ticket),
    /// It hears everything after this place.
    Live(Cursor),
    /// It has been told to join again: nothing more until it does.
    MustRejoin,
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
                    pages: PageCache::default(),
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
    /// Adds a listener who is about to be given what it missed.
    pub fn join(&self, who: JoinRequest) -> Ticket {
        let JoinRequest { session, client, outbox, dialect, join_leave, given } = who;
        let mut state = self.state.lock();
        state.tickets += 1;
        let ticket = state.tickets;
        state.listeners.put(Listener {
            session,
            client,
            outbox,
            dialect,
            join_leave,
            given,
            state: ListenerState::Joining(ticket),
        });
        state.keep_recent();
        ticket
    }

    /// Whether this session listens here and has not been told to join again.
    pub fn holds(&self, session: SessionId) -> bool {
        let state = self.state.lock();
        state.listeners.get(session).is_some_and(|listener| !matches!(listener.state, ListenerState::MustRejoin))
    }

    /// Whether this session was let in here and has not left, nor was put out.
    pub fn knows(&self, session: SessionId) -> bool {
        self.state.lock().listeners.get(session).is_some()
    }

    /// Removes a listener; true if nobody is left.
    pub fn leave(&self, session: SessionId) -> bool {
        let mut state = self.state.lock();
        state.listeners.remove(session);
        state.keep_recent();
        state.listeners.is_empty()
    }

    /// The listener has been given everything up to `at`: queues `reply`, then what was heard since, and from now on all
    /// that comes. One lock, so that nothing comes between. Where more must be read first it stays [`Standing::Behind`].
    pub fn go_live(&self, session: SessionId, ticket: Ticket, at: Cursor, reply: Option<Frame>) -> Standing {
        let mut state = self.state.lock();
        let State { heard, listeners, recent, .. } = &*state;
        let Some(listener) = listeners.joining(session, ticket) else { return Standing::Gone };
        if let Some(reply) = reply {
            listener.outbox.push(reply);
        }
        let heard = heard.unwrap_or(at);
        if at < heard {
            let Some(missed) = recent.as_ref().and_then(|recent| recent.after(at, heard)) else {
                return Standing::Behind;
            };
            if missed.clone().map(|record| weigh(record)).sum::<usize>() > listener.outbox.left() / 2 {
                return Standing::Behind;
            }
            for record in missed {
                listener.outbox.push(listener.dialect.publication(record));
            }
        }
        state.listeners.set(session, ListenerState::Live(at.max(heard)));
        state.keep_recent();
        Standing::Live
    }

    /// The subscription was live before the timeline was asked, and it said that this is the last place: what comes
    /// after it will be heard.
    pub fn begin_at(&self, top: Cursor) {
        let mut state = self.state.lock();
        if state.heard.is_none() {
            state.heard = Some(top);
            state.keep_recent();
        }
    }

    /// Queues a part of a catch-up for a listener who is still joining; false if it is not.
    pub fn feed(&self, session: SessionId, ticket: Ticket, frames: &[Frame]) -> bool {
        let state = self.state.lock();
        let Some(listener) = state.listeners.joining(session, ticket) else { return false };
        for frame in frames {
            listener.outbox.push(frame.clone());
        }
        true
    }

    /// What a joining listener missed cannot be given to it: it is told to join again, from the place it holds.
    pub fn give_up(&self, session: SessionId, ticket: Ticket) {
        let mut state = self.state.lock();
        if let Some(listener) = state.listeners.joining(session, ticket) {
            listener.unhinge(&self.name);
            state.listeners.set(session, ListenerState::MustRejoin);
            state.keep_recent();
        }
    }

    /// The last place heard.
    pub fn heard(&self) -> Option<Cursor> {
        self.state.lock().heard
    }

    /// Delivers an event if it is the next one.
    pub fn hear(&self, record: &Arc<Record>) -> Heard {
        let mut state = self.state.lock();
        let place = record.cursor;
        let heard = state.heard;
        match heard {
            Some(last) if place <= last => return Heard::Old,
            Some(last) if place.epoch != last.epoch || place.offset != last.offset + 1 => return Heard::Gap(last),
            _ => {}
        }
        state.heard = Some(place);
        state.remember(record);
        state.deliver(record);
        if record.event.kind == Kind::Delete {
            self.pages.clear(); // the pages there may still have the body that it deletes
        }
        Heard::Delivered
    }

    /// Tells listeners something of the moment: those whom it concerns.
    pub fn tell(&self, signal: &Signal) {
        let own = match &signal.what {
            What::Typing(Typing { who }) => Uuid::parse_str(&who.client).ok(),
            _ => None,
        };
        let only_who_asked = matches!(signal.what, What::PresenceChange(_));
        let mut encoded: [Option<Frame>; Dialect::COUNT] = Default::default();
        let state = self.state.lock();
        let live = state.listeners.iter().filter(|one| matches!(one.state, ListenerState::Live(_)));
        let told = live.filter(|one| Some(one.client) != own && (one.join_leave || !only_who_asked));
        for Listener { outbox, dialect, .. } in told {
            let frame = encoded[dialect.index()].get_or_insert_with(|| dialect.signal(signal));
            outbox.push_passing(frame.clone());
        }
    }

    /// The room's timeline went on in a way that cannot be told as events: every listener is told to join again, and
    /// the room goes on from `place`.
    pub fn start_over(&self, place: Cursor) {
        let mut state = self.state.lock();
        self.pages.clear();
        state.heard = Some(place);
        state.recent = None;
        state.keep_recent();
        let live = state.listeners.iter().filter(|one| matches!(one.state, ListenerState::Live(_)));
        let live: Vec<SessionId> = live.inspect(|one| one.unhinge(&self.name)).map(|one| one.session).collect();
        for session in live {
            state.listeners.set(session, ListenerState::MustRejoin);
        }
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.state.lock().listeners.len()
    }
}

impl State {
    /// Queues the event for each listener, encoded once per dialect.
    fn deliver(&self, record: &Arc<Record>) {
        let mut encoded: [Option<Frame>; Dialect::COUNT] = Default::default();
        for listener in self.listeners.iter() {
            if let ListenerState::Live(after) = listener.state
                && record.cursor > after
            {
                let frame =
                    encoded[listener.dialect.index()].get_or_insert_with(|| listener.dialect.publication(record));
                listener.outbox.push(frame.clone());
            }
        }
    }

    /// What was heard lately is kept as long as somebody is joining.
    fn keep_recent(&mut self) {
        match self.heard {
            _ if self.listeners.count_joining() == 0 => self.recent = None,
            Some(after) if self.recent.is_none() => self.recent = Some(Recent::beginning(after)),
            _ => {}
        }
    }

    fn remember(&mut self, record: &Arc<Record>) {
        if self.listeners.count_joining() == 0 {
            return;
        }
        let Cursor { epoch, offset } = record.cursor;
        let before = Cursor { epoch, offset: offset.saturating_sub(1) };
        let recent = self.recent.get_or_insert_with(|| Recent::beginning(before));
        recent.bytes += weigh(record);
        recent.events.push_back(record.clone());
        while recent.events.len() > RECENT_EVENTS_MAX || recent.bytes > RECENT_BYTES_MAX {
            let Some(oldest) = recent.events.pop_front() else { return };
            recent.bytes -= weigh(&oldest);
            recent.after = oldest.cursor;
        }
    }
}

impl Recent {
    fn beginning(after: Cursor) -> Self {
        Self { after, events: VecDeque::new(), bytes: 0 }
    }

    /// All events after `at` up to `heard`; `None` if some of them are not here.
    fn after(&self, at: Cursor, heard: Cursor) -> Option<impl Iterator<Item = &Arc<Record>> + Clone> {
        let whole = at.epoch == heard.epoch && self.after.epoch == at.epoch && self.after.offset <= at.offset;
        whole.then(|| self.events.iter().skip_while(move |record| record.cursor <= at))
    }
}

impl Listener {
    /// Tells the client to join again, from the place it holds. Its stage says so from then on.
    fn unhinge(&self, room: &Room) {
        match self.dialect.unsubscribed(room, Unsubscribed::InsufficientState) {
            told if self.given || told.is_empty() => self.outbox.close(Close::InsufficientState),
            told => self.outbox.push(told),
        }
    }
}

#[cfg(test)]
#[path = "room/tests.rs"]
mod tests;
