//! Capability `log`: write to the hub's log. The plugin must be granted it: `capabilities = { log = true }`.
//!
//! In a native test the lines go to standard error.

#[allow(unsafe_code, reason = "generated code passes values through the component's linear memory")]
#[allow(missing_docs, dead_code, clippy::all, reason = "generated code")]
mod contract {
    wit_bindgen::generate!({ path: "wit", world: "logging" });
}

/// Of interest to the plugin's author.
pub fn debug(text: &str) {
    write(Level::Debug, text);
}

/// Part of normal life.
pub fn info(text: &str) {
    write(Level::Info, text);
}

/// Somebody should look.
pub fn warn(text: &str) {
    write(Level::Warn, text);
}

use contract::confab::plugin::host_log::Level;

#[cfg(target_arch = "wasm32")]
fn write(level: Level, text: &str) {
    contract::confab::plugin::host_log::log(level, text);
}

#[cfg(not(target_arch = "wasm32"))]
#[allow(clippy::print_stderr, reason = "this is where a native test's lines belong")]
fn write(level: Level, text: &str) {
    eprintln!("{level:?}: {text}");
}
