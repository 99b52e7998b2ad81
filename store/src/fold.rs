//! The fold: events become messages and reactions. Pure; both back-ends load what it needs and write what it leaves.

mod known;
mod message;

pub(crate) use known::{Fate, Known};
pub(crate) use message::{MessageRow, ReactionRow, message_columns, place, trail_text};

use confab_protocol::{EventId, Kind, Record, Room, UserId};
use std::collections::{HashMap, HashSet};

/// The name of a row of `messages`.
pub(crate) type MessageName = (Room, EventId);
/// The name of a row of `reactions`: room, target, user, reaction.
pub(crate) type ReactionName = (Room, EventId, UserId, String);

/// The rows that a batch folds into, and what must be done to the store besides writing them back.
#[derive(Debug, Default)]
pub(crate) struct Projections {
    pub messages: HashMap<MessageName, MessageRow>,
    pub reactions: HashMap<ReactionName, ReactionRow>,
    /// Names of messages that have become other names of messages that stand: nothing is kept under them.
    pub dissolved: HashSet<MessageName>,
    /// Messages whose words, and those of their edits and duplicates, must not be in `events` any more.
    pub blanked: HashSet<MessageName>,
}

/// Which rows of the projections a record of this fate folds into, so that they can be loaded first.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub messages: HashSet<MessageName>,
    pub reactions: HashSet<ReactionName>,
    /// All reactions to these: they are aliases, whose reactions move, and the messages that they move to.
    pub reactions_to: HashSet<MessageName>,
}

impl Wanted {
    /// Adds what `record` needs.
    pub fn add(&mut self, record: &Record, fate: Fate, known: &Known) {
        let event = &record.event;
        let room = &event.room;
        let target = event.target.map(|target| known.resolve(room, target));
        match (event.kind, fate) {
            (_, Fate::Copy | Fate::Unreadable | Fate::Nowhere) => return,
            (_, Fate::Again { of, alias: true }) => {
                self.messages.extend([(room.clone(), of), (room.clone(), event.id)]);
                self.reactions_to.extend([(room.clone(), of), (room.clone(), event.id)]);
            }
            (Kind::Message, Fate::Again { of, .. }) => drop(self.messages.insert((room.clone(), of))),
            (Kind::Message, Fate::New) => drop(self.messages.insert((room.clone(), event.id))),
            _ => {}
        }
        match (event.kind, target) {
            (Kind::Edit | Kind::Delete, Some(target)) => drop(self.messages.insert((room.clone(), target))),
            (Kind::Reaction | Kind::Unreaction, Some(target)) => {
                if let Some(reaction) = reaction(record) {
                    self.reactions.insert((room.clone(), target, event.sender.user.clone(), reaction));
                }
            }
            _ => {}
        }
    }
}

impl Projections {
    /// Folds one record in. What a duplicate says was said before, so it changes nothing; only a delete always deletes,
    /// because listeners saw it delete, whatever its key had been used for.
    pub fn fold(&mut self, record: &Record, fate: Fate, known: &Known) {
        let event = &record.event;
        let room = &event.room;
        let again = match fate {
            Fate::Copy | Fate::Unreadable | Fate::Nowhere => return,
            Fate::New => false,
            Fate::Again { of, alias } => {
                if alias {
                    self.merge(room, event.id, of);
                }
                self.blank_if_deleted(room, of);
                true
            }
        };
        match (event.kind, event.target.map(|target| known.resolve(room, target))) {
            (Kind::Message, _) => {
                if !again {
                    self.message(room, event.id).say(record);
                    self.blank_if_deleted(room, event.id);
                }
            }
            (Kind::Edit, Some(target)) => {
                if !again {
                    self.message(room, target).edit(record);
                }
                self.blank_if_deleted(room, target);
            }
            (Kind::Delete, Some(target)) => {
                self.message(room, target).delete(record);
                self.blanked.insert((room.clone(), target));
            }
            (Kind::Reaction | Kind::Unreaction, Some(target)) => {
                if !again {
                    self.react(record, target);
                }
            }
            (kind, None) => {
                tracing::warn!(%room, id = %event.id, kind = kind.as_str(), "event without a target changes nothing");
            }
        }
    }

    fn message(&mut self, room: &Room, id: EventId) -> &mut MessageRow {
        self.messages.entry((room.clone(), id)).or_insert_with(|| MessageRow::waiting(room.as_str(), id.0))
    }

    fn blank_if_deleted(&mut self, room: &Room, id: EventId) {
        let name = (room.clone(), id);
        if self.messages.get(&name).is_some_and(MessageRow::deleted) {
            self.blanked.insert(name);
        }
    }

    fn react(&mut self, record: &Record, target: EventId) {
        let event = &record.event;
        let Some(reaction) = reaction(record) else {
            tracing::warn!(room = %event.room, id = %event.id, "body names no reaction: nothing changes");
            return;
        };
        let (epoch, seq) = place(record);
        self.hear(
            &event.room,
            target,
            ReactionRow {
                room: event.room.as_str().to_owned(),
                target: target.0,
                user_id: event.sender.user.as_str().to_owned(),
                reaction,
                epoch,
                seq,
                present: event.kind == Kind::Reaction,
                changed: true,
            },
            &event.sender.user,
        );
    }

    fn hear(&mut self, room: &Room, target: EventId, row: ReactionRow, user: &UserId) {
        let name = (room.clone(), target, user.clone(), row.reaction.clone());
        match self.reactions.get_mut(&name) {
            Some(before) => before.hear(&row),
            None => drop(self.reactions.insert(name, row)),
        }
    }

    /// Moves what waited under `alias` to the message `of` that stands for it.
    fn merge(&mut self, room: &Room, alias: EventId, of: EventId) {
        let name = (room.clone(), alias);
        if let Some(waited) = self.messages.remove(&name) {
            self.message(room, of).merge(waited);
        }
        let moved: Vec<_> = self.reactions.keys().filter(|name| name.0 == *room && name.1 == alias).cloned().collect();
        for old in moved {
            if let Some(row) = self.reactions.remove(&old) {
                self.hear(room, of, ReactionRow { target: of.0, changed: true, ..row }, &old.2);
            }
        }
        self.dissolved.insert(name);
    }
}

/// The longest reaction, in bytes: it is part of a key, and keys have limits.
const REACTION_BYTES_MAX: usize = 255;

/// The reaction that a body `{"reaction": "👍"}` names. An array is none, though serde would read one.
fn reaction(record: &Record) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        reaction: String,
    }
    let body = &record.event.body;
    let named = body.read::<Named>().ok().filter(|_| body.as_str().starts_with('{'));
    named.map(|named| named.reaction).filter(|reaction| reaction.len() <= REACTION_BYTES_MAX)
}
