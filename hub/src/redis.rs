//! Reaching Redis: the one server, the primary that sentinels name, or the primaries of a cluster.
//!
//! What a hub does there is the business of [`crate::timeline`] and [`crate::kv`].

mod connection;
mod connector;
mod dialer;
mod error;
mod nodes;
mod sentinel;
mod shards;

pub use connection::Connection;
pub(crate) use connector::PushSender;
pub use dialer::{Dialer, Servers};
pub use error::Error;
pub(crate) use error::failed;
pub(crate) use nodes::primaries_agree;
pub use sentinel::SentinelOptions;
pub(crate) use shards::{Redirect, Shard, Shards};
