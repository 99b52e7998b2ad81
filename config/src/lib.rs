//! hub.toml: every setting with its default, its check and its error messages; read by the hub and the consumer.

pub mod human;
mod kafka;
pub mod pattern;
pub mod settings;

pub use human::Size;
pub use pattern::Patterns;
pub use settings::*;
