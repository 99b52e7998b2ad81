//! Confab from the outside. Run with `cargo xtask test`, which starts the services that these need.
#![allow(clippy::print_stdout, reason = "some print what they measured beside what they check")]

mod author;
mod away;
mod cluster;
mod docs;
mod embedded;
mod engineio;
mod faults;
mod history;
mod hostile;
mod keys;
mod load;
mod moderation;
mod newcomer;
mod occasions;
mod outages;
mod page;
mod plugins;
mod presence;
mod protocol;
mod recovery;
mod redis_cluster;
mod relay;
mod reload;
mod reload_load;
mod restarts;
mod review;
mod schedules;
mod sentinel;
mod slow;
mod socketio;
mod speaking;
mod stock;
mod tls;
mod tokens;
mod websocket;
