//! The hub: clients' sessions on one side, timeline, journal and store on the other, and the chain of plugins between.
//!
//! A message walks up one stair, [`publish`], and down another, [`deliver`]; [`recover`] is the way back. Around the
//! stairs are rooms that do not know one another. [`hub`] builds everyone. Imports point down:
//!
//! ```text
//! 4  hub                          builds everyone
//! 3  http, admin → session        the doors and the guest
//! 2  publish  deliver  recover    the way in, the way out, the way back
//! 1  plugin  timeline  journal  room  people  sanctions  auth
//! 0  outbox  dialect  telemetry  limits  kv  redis
//! ```

pub mod admin;
pub mod audit;
pub mod auth;
mod backoff;
mod brief;
pub mod cli;
pub mod deliver;
pub mod dialect;
pub mod http;
pub mod hub;
pub mod journal;
pub mod kv;
pub mod limits;
pub mod outbox;
pub mod people;
pub mod plugin;
pub mod presence;
mod private_file;
pub mod publish;
pub mod recover;
pub mod redis;
pub mod review;
pub mod room;
pub mod sanctions;
pub mod session;
pub mod telemetry;
pub mod timeline;
mod tls;
