//! The words everyone in Confab shares: ids, cursors, events, records, refusals and closes.
//!
//! Plain data and serde; no I/O. Everything here is either on the wire, in the journal or in a table, so a change
//! in this crate is a change of a format.

pub mod body;
pub mod close;
pub mod cursor;
pub mod event;
pub mod held;
pub mod ids;
pub mod present;
pub mod record;
pub mod refusal;
pub mod signal;
mod verb;

pub use body::Body;
pub use close::Close;
pub use cursor::{Cursor, Epoch};
pub use event::{Annotations, Draft, Event, Kind, Millis, Sender};
pub use held::{Held, HeldEmit, HeldState};
pub use ids::{EventId, InvalidName, Key, Room, UserId};
pub use present::Present;
pub use record::{PublicRecord, Record, Step, Trail, VerdictName};
pub use refusal::Refusal;
pub use signal::Signal;
pub use verb::{SOCKET_IO_COMMANDS, VerbName};
