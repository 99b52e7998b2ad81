//! What the timeline promises, asked of the memory and of a real Redis through the same questions.

mod cluster;
mod contract;
mod embedded;
mod generations;
mod hubs;
mod ledger;
mod model;
mod outages;
mod presence;
mod proxy;
mod sentinel;
mod server;
mod setup;
mod signals;
#[path = "../shared/waiting.rs"]
mod waiting;
mod world;
