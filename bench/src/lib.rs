//! Measures a chat server from the outside, by the CPU that it takes; and its plugins from the inside.
//!
//! `confab-bench drive` is the load generator: one thread that never sleeps, so that a server never pays for waking it.
//! It checks each delivery while it measures: none may be lost, doubled or out of order. `confab-bench floor` is the
//! least that a server can do: WebSocket frames from one socket to others, and nothing else.
//!
//! - [`body`]: what is sent, and how it is known again.
//! - [`dialect`]: what each kind of server is told and tells.
//! - [`frame`], [`link`], [`fleet`]: from bytes to connections.
//! - [`ledger`]: what was sent and who has it. [`histogram`]: how long it took.
//! - [`plan`], [`drive`], [`opening`]: the scenarios. [`feed`]: what goes on beside them.
//! - [`usage`]: what the server's processes take.
//! - [`floor`]: the floor.
//! - [`plugins`]: what plugins cost, on the hub's own chain in this process.

pub mod body;
pub mod dialect;
pub mod drive;
pub mod feed;
pub mod fleet;
pub mod floor;
pub mod frame;
pub mod histogram;
pub mod ledger;
pub mod link;
pub mod opening;
pub mod plan;
pub mod plugins;
pub mod report;
pub mod usage;
