//! The store: PostgreSQL and SQLite, and the fold that turns events into messages. Used by the hub and the consumer.
//!
//! Every projection is a fold by (epoch, seq): a field remembers the cursor that wrote it and an older one never
//! overwrites it, so the order in which records arrive does not matter to what is served. One thing does depend on the
//! order: of two events with the same key (or the same id at two places) the first to be applied stands, the other is
//! its duplicate. The journal's order decides that, not the batches, so that a replay gives the same tables.
//!
//! The way in is [`Store::apply`]: fence, load, fold, write, in one transaction. The ways out read `events` by cursor,
//! never past a hole ([`Store::page`]), or the current state by id ([`Store::message`]).

mod apply;
mod audit;
mod changes;
mod columns;
mod copy;
mod error;
mod expiry;
mod flags;
mod fold;
mod folded;
mod held;
mod lost;
mod members;
mod migrate;
mod page;
mod postgres;
mod read;
mod retention;
mod rooms;
mod row;
mod sanctions;
mod span;
mod sqlite;
mod storable;
mod store;

pub use apply::Applied;
pub use audit::{Act, WhichActs};
pub use copy::Contents;
pub use error::Error;
pub use flags::{Closed, Flag};
pub use folded::Folded;
pub use held::Decided;
pub use lost::Stopped;
pub use members::{Member, MemberChange, MemberVersion, Membership, Outcome, Role, VERSION_COUNTERS};
pub use page::PAGE_RECORDS_MAX;
pub use retention::{Removed, Settled};
pub use rooms::{Created, NewRoom, RoomRow};
pub use sanctions::{Change, Precedence, Revocation, Sanction, SanctionKind, Which};
pub use store::{PostgresOptions, Store};

use confab_protocol::{Annotations, Body, Cursor, EventId, Key, Millis, Record, Room, Sender, UserId};
use std::sync::Arc;

/// One record on its way into the store, or one that could not be read.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A record of the journal.
    Record(Arc<Record>),
    /// A record that cannot be read. Where its place is known an `unreadable` row keeps the place.
    Unreadable {
        /// The room and place, if its key and headers gave them.
        place: Option<(Room, Cursor, EventId)>,
        /// Why it cannot be read.
        reason: String,
    },
}

/// A partition's position, moved in the same transaction as the rows. Positions are the offset of the *next* record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Where the store must be for this batch to be taken (the fence); `None` for a partition never seen.
    pub expected: Option<i64>,
    /// Where it is afterwards.
    pub next: i64,
    /// The event of the record before `next`, if it names one.
    pub last: Option<EventId>,
}

/// Which events of a room to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Read from here, this place not included. `None`: from the beginning, or, backwards, from the end.
    pub since: Option<Cursor>,
    /// From new to old.
    pub reverse: bool,
    /// The most places to read; more than [`PAGE_RECORDS_MAX`] counts as that. 0 reads nothing but `through` and `next`.
    pub limit: usize,
    /// The page ends behind the row with which its bodies and what stands beside them have so many bytes, roughly.
    pub bytes: usize,
    /// Everything that was acknowledged in epochs before this one is stored: what they have no row for is not waited for.
    /// 0: that is not known.
    pub stored_before: u64,
}

/// Events of one epoch, in order, without a hole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The events. Bodies of deleted ones are `null`.
    pub records: Vec<Record>,
    /// Places among them whose record could not be read when it was stored: there is nothing to serve, and nothing
    /// is missing.
    pub unreadable: Vec<Cursor>,
    /// Where to go on reading; `None` when the store has nothing further. Going forwards from the last event of an
    /// epoch that has a successor, this is the cursor (next epoch, 0); backwards from the first, the place just past the
    /// end of the epoch before.
    pub next: Option<Cursor>,
    /// How far the room's newest epoch is known without a hole; `None` if the store knows nothing of the room.
    pub through: Option<Cursor>,
    /// The place up to which retention has removed the room's events; `None` if it has removed none.
    pub floor: Option<Cursor>,
}

/// What a key was used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// Whose key.
    pub sender: UserId,
    /// The key.
    pub key: Key,
    /// The event it named.
    pub id: EventId,
    /// Its place.
    pub cursor: Cursor,
    /// The digest of the draft.
    pub digest: String,
    /// When it was stamped.
    pub at: Millis,
}

/// What a message is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its id. Asked for by the id of a duplicate, this is the id of the message that stands.
    pub id: EventId,
    /// Where.
    pub room: Room,
    /// Who said it.
    pub sender: Sender,
    /// The client's name for it.
    pub key: Key,
    /// Its place.
    pub cursor: Cursor,
    /// When it was said.
    pub at: Millis,
    /// The message whose thread it belongs to.
    pub thread: Option<EventId>,
    /// What it says now: the newest edit's body, or its own. `null` if deleted.
    pub body: Body,
    /// What plugins added to that body. Nothing if deleted.
    pub annotations: Annotations,
    /// When the newest edit was stamped.
    pub edited_at: Option<Millis>,
    /// Whether it was deleted.
    pub deleted: bool,
    /// The reactions that stand, in the order in which each was first given, with their users in the order they gave it.
    pub reactions: Vec<(String, Vec<UserId>)>,
}
