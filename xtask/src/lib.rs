//! Every verb a contributor needs.

pub mod wasm;
