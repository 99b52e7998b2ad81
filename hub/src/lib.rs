//! The hub: clients' sessions on one side, timeline, journal and store on the other, and the chain of plugins between.

pub mod cli;
pub mod journal;
pub mod plugin;
pub mod timeline;
