//! What a contributor's machine needs: real services to start, tools to install, plugins to build.
//!
//! The binary `cargo xtask` is built on it, and so are the end-to-end tests. All of it blocks: there is no runtime here.
//!
//! - [`services`]: private Kafka, Redis and PostgreSQL that can be stopped, killed, paused and started again.
//! - [`install`]: brings what is missing, and costs next to nothing when all is there.
//! - [`wasm`]: turns plugins' crates into components.
//! - [`progress`]: says what is being done.

pub mod install;
pub mod progress;
pub mod services;
pub mod wasm;
pub mod workspace;
