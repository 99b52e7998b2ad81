//! Confab from the outside. Run with `cargo xtask test`, which starts the services that these need.

mod cluster;
mod embedded;
mod faults;
mod history;
mod keys;
mod load;
mod page;
mod plugins;
mod presence;
mod protocol;
mod recovery;
mod schedules;
mod socketio;
mod stock;
mod tls;
mod tokens;
