//! hub.toml: every setting with its default, its check and its error messages; read by the hub and the consumer.
//!
//! [`load()`] reads the file, the environment and the flags, one over the other, and remembers where every value came
//! from. What is wrong is returned all at once, as [`Diagnostics`] that show the place, the cause, and what to type next.

mod access;
pub mod address;
pub mod admin_tokens;
mod check;
mod diagnostic;
mod document;
pub mod environment;
pub mod human;
mod kafka;
mod load;
mod origin;
pub mod path;
pub mod pattern;
mod problem;
pub mod reference;
mod restart;
mod rooms;
mod schema;
pub mod secret;
pub mod settings;
mod show;
mod structure;
mod suggest;

pub use access::{AdminAccess, admin_access};
pub use diagnostic::{Diagnostic, Diagnostics, Severity, wants_colour};
pub use human::Size;
pub use kafka::{MESSAGE_OVERHEAD, RECORD_OVERHEAD};
pub use load::{FILE, Loaded, Recipe, assignment, load, load_text, process_environment};
pub use origin::{Origin, Sources};
pub use path::Path;
pub use pattern::Patterns;
pub use problem::Problem;
pub use rooms::{DIRECT, RoomSettings, Rooms, is_direct};
pub use secret::Secret;
pub use settings::*;
pub use show::Effective;
