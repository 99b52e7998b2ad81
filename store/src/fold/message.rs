//! One message, or one reaction, as it comes together from its events.

use crate::columns::from_row;
use crate::row::{annotations_text, number, text};
use confab_protocol::Record;
use uuid::Uuid;

from_row! {
    /// A row of `messages`: the current state, and which place wrote each part of it.
    ///
    /// The parts are the message's own (`seq` and what was said with it), the newest edit, the delete, and the body, which is
    /// the newest edit's, else the message's, and gone for ever after a delete. Each rule looks only at places, so events may
    /// come in any order.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub(crate) struct MessageRow {
        pub room: String,
        pub id: Uuid,
        pub epoch: Option<i64>,
        pub seq: Option<i64>,
        pub sender: Option<String>,
        pub client: Option<String>,
        pub info: Option<String>,
        pub key: Option<String>,
        pub at: Option<i64>,
        pub thread: Option<Uuid>,
        pub body: Option<String>,
        pub annotations: Option<String>,
        pub edit_epoch: Option<i64>,
        pub edit_seq: Option<i64>,
        pub edited_at: Option<i64>,
        pub delete_epoch: Option<i64>,
        pub delete_seq: Option<i64>,
    } besides {
        /// It differs from what the store has.
        pub changed: bool,
    }
}

/// The columns of [`MessageRow`], in its order.
macro_rules! message_columns {
    () => {
        "room, id, epoch, seq, sender, client, info, key, at, thread, body, annotations, \
         edit_epoch, edit_seq, edited_at, delete_epoch, delete_seq"
    };
}
pub(crate) use message_columns;

type Place = (i64, i64);

impl MessageRow {
    /// A row that waits for its message.
    pub fn waiting(room: &str, id: Uuid) -> Self {
        Self { room: room.to_owned(), id, ..Self::default() }
    }

    /// Whether a delete has come.
    pub fn deleted(&self) -> bool {
        self.delete_seq.is_some()
    }

    fn edit_place(&self) -> Option<Place> {
        self.edit_epoch.zip(self.edit_seq)
    }

    fn delete_place(&self) -> Option<Place> {
        self.delete_epoch.zip(self.delete_seq)
    }

    /// Folds the message itself in.
    pub fn say(&mut self, record: &Record) {
        let event = &record.event;
        (self.epoch, self.seq) = columns(Some(place(record)));
        self.sender = Some(event.sender.user.as_str().to_owned());
        self.client.clone_from(&event.sender.client);
        self.info = event.sender.info.as_ref().map(|info| info.as_str().to_owned());
        self.key = Some(event.key.as_str().to_owned());
        self.at = Some(number(event.at));
        self.thread = event.thread.map(|id| id.0);
        if self.edit_place().is_none() {
            self.write_body(record);
        }
        self.changed = true;
    }

    /// Folds an edit in: the newest counts.
    pub fn edit(&mut self, record: &Record) {
        if self.edit_place() < Some(place(record)) {
            (self.edit_epoch, self.edit_seq) = columns(Some(place(record)));
            self.edited_at = Some(number(record.event.at));
            self.write_body(record);
            self.changed = true;
        }
    }

    /// Folds a delete in: the first counts.
    pub fn delete(&mut self, record: &Record) {
        if self.delete_place().is_none_or(|before| place(record) < before) {
            (self.delete_epoch, self.delete_seq) = columns(Some(place(record)));
            self.body = None;
            self.annotations = None;
            self.changed = true;
        }
    }

    /// Folds in what waited under another id of the same message.
    pub fn merge(&mut self, other: Self) {
        let deletes = [self.delete_place(), other.delete_place()];
        (self.delete_epoch, self.delete_seq) = columns(deletes.into_iter().flatten().min());
        if self.edit_place() < other.edit_place() {
            (self.edit_epoch, self.edit_seq) = columns(other.edit_place());
            self.edited_at = other.edited_at;
            self.body = other.body;
            self.annotations = other.annotations;
        }
        if self.deleted() {
            self.body = None;
            self.annotations = None;
        }
        self.changed = true;
    }

    fn write_body(&mut self, record: &Record) {
        if !self.deleted() {
            self.body = Some(record.event.body.as_str().to_owned());
            self.annotations = annotations_text(&record.event.annotations);
        }
    }
}

from_row! {
    /// A row of `reactions`: the last word of one user on one reaction to one event.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) struct ReactionRow {
        pub room: String,
        pub target: Uuid,
        pub user_id: String,
        pub reaction: String,
        pub epoch: i64,
        pub seq: i64,
        pub present: bool,
    } besides {
        /// It differs from what the store has.
        pub changed: bool,
    }
}

impl ReactionRow {
    /// Takes over a later word.
    pub fn hear(&mut self, other: &Self) {
        if (self.epoch, self.seq) < (other.epoch, other.seq) {
            (self.epoch, self.seq, self.present) = (other.epoch, other.seq, other.present);
            self.changed = true;
        }
    }
}

/// A record's place as columns.
pub(crate) fn place(record: &Record) -> Place {
    (number(record.cursor.epoch.0), number(record.cursor.offset))
}

/// The trail as a column: nothing where nobody judged.
pub(crate) fn trail_text(record: &Record) -> Option<String> {
    let trail = &record.trail;
    (!trail.chain.is_empty() || !trail.steps.is_empty()).then(|| text(trail))
}

fn columns(place: Option<Place>) -> (Option<i64>, Option<i64>) {
    place.unzip()
}
