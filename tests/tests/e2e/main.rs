//! Confab from the outside. Run with `cargo xtask test`, which starts the services that these need.

mod cluster;
mod embedded;
mod engineio;
mod faults;
mod history;
mod keys;
mod outages;
mod page;
mod plugins;
mod presence;
mod protocol;
mod recovery;
mod relay;
mod reload;
mod reload_load;
mod restarts;
mod schedules;
mod sentinel;
mod slow;
mod socketio;
mod stock;
mod tls;
mod tokens;
mod websocket;
