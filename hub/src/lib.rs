//! The hub: clients' sessions on one side, timeline, journal and store on the other, and the chain of plugins between.
//!
//! A message walks up one stair, [`publish`], and down another, [`deliver`]; [`recover`] is the way back. [`serve`] builds
//! everyone. Imports point down, from floor to floor: ARCHITECTURE.md shows the floors, `cargo xtask check` guards them.

pub mod access;
pub mod actor;
pub mod admin;
pub mod admission;
pub mod audit;
pub mod auth;
pub mod backends;
pub mod background;
mod backoff;
pub mod cli;
mod clock;
pub mod deliver;
pub mod dialect;
pub mod http;
pub mod hub;
pub mod journal;
pub mod kv;
pub mod limits;
mod log_limit;
pub mod members;
pub mod outbox;
mod pace;
pub mod people;
pub mod plugin;
pub mod presence;
mod private_file;
pub mod publish;
pub mod quoted;
pub mod recover;
pub mod redis;
pub mod review;
pub mod room;
pub mod sanctions;
pub mod serve;
pub mod session;
pub mod signals;
pub mod telemetry;
pub mod timeline;
mod tls;
pub mod verb;
