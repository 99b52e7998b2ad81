//! What the timeline in Redis asks of the journal.

use super::super::BoxError;
use confab_protocol::{EventId, Millis, Record, Room};
use confab_store::KeyUse;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

/// The journal, as the timeline in Redis needs it.
pub trait JournalAccess: Send + Sync + 'static {
    /// Opens a generation: its number is above that one, above all that were opened, and above those of all events that were
    /// ever stored.
    fn open_generation(&self, above: u64) -> BoxFuture<'_, Result<u64, BoxError>>;
    /// The number of the newest generation that was ever opened; 0 before the first. It has a second to answer.
    fn newest_generation(&self) -> BoxFuture<'_, Result<u64, BoxError>>;
    /// The keys of records that were journaled since then, in the journal's order. More than that does no harm.
    fn tail(&self, since: Millis) -> BoxStream<'_, Result<(Room, KeyUse), BoxError>>;
    /// Where the journal ends now, in a form that [`Self::is_stored`] reads.
    fn end(&self) -> BoxFuture<'_, Result<String, BoxError>>;
    /// Whether the store has everything that comes before such an end.
    fn is_stored<'a>(&'a self, end: &'a str) -> BoxFuture<'a, Result<bool, BoxError>>;
    /// Appends the text of a record that cannot be read here, with the event's room and id; returns when it is durable.
    fn append_text<'a>(&'a self, room: &'a Room, id: EventId, text: &'a str) -> BoxFuture<'a, Result<(), BoxError>>;
    /// Appends a record; returns when it is durable. Appending one again does no harm.
    fn append<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), BoxError>>;
}
