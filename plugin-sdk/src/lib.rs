//! Write Confab plugins in Rust: one trait, one macro, and tests that run without WebAssembly.
//!
//! ```
//! use confab_plugin_sdk::{Context, Event, Plugin, Verdict};
//!
//! /// Refuses messages longer than the settings allow.
//! struct Brevity {
//!     most: usize,
//! }
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     most: usize,
//! }
//!
//! impl Plugin for Brevity {
//!     type Settings = Settings;
//!
//!     fn configure(settings: Settings) -> Result<Self, String> {
//!         Ok(Self { most: settings.most })
//!     }
//!
//!     fn judge(&self, event: &Event, _context: &Context) -> Verdict {
//!         match event.text.as_deref() {
//!             Some(text) if text.chars().count() > self.most => Verdict::reject(413, "please be brief"),
//!             _ => Verdict::accept(),
//!         }
//!     }
//! }
//!
//! confab_plugin_sdk::export_plugin!(Brevity);
//!
//! # use confab_plugin_sdk::testing;
//! let brevity = testing::plugin::<Brevity>(serde_json::json!({ "most": 10 }));
//! assert_eq!(brevity.judge("hello"), Verdict::accept());
//! assert_eq!(brevity.judge("a long, long story"), Verdict::reject(413, "please be brief"));
//! ```
//!
//! The types are those of the contract, `wit/plugin.wit`. For `wasm32` targets [`export_plugin!`] exports what the
//! contract asks for; for any other target it does nothing, so that a plugin's tests are ordinary tests.

#[cfg(any(test, all(feature = "allocator", target_arch = "wasm32", not(target_feature = "atomics"))))]
mod allocator;
mod body;
#[cfg(feature = "clock")]
pub mod clock;
#[cfg(feature = "emit")]
pub mod emit;
#[doc(hidden)]
pub mod export;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "kv")]
pub mod kv;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "random")]
pub mod random;
pub mod settings;
pub mod testing;
mod verdict;

pub use body::BodyString;
pub use contract::confab::plugin::types::{
    Context, Decision, Effect, Event, Kind, Mute, Rejection, Replacement, Verdict,
};

/// What the contract's text generates.
#[doc(hidden)]
#[allow(unsafe_code, reason = "generated code passes values through the component's linear memory")]
#[allow(missing_docs, clippy::all, reason = "generated code")]
pub mod contract {
    wit_bindgen::generate!({
        path: "wit",
        world: "plugin",
        pub_export_macro: true,
        export_macro_name: "export_contract",
        default_bindings_module: "confab_plugin_sdk::contract",
        additional_derives: [PartialEq, Eq],
    });
}

/// A name and a JSON value: what a plugin adds to an event without changing its body.
pub type Annotation = (String, String);

/// A plugin: made from its settings, asked about each event.
pub trait Plugin: Sized + 'static {
    /// What `[plugin.<name>.settings]` in hub.toml may say. Give it `#[serde(deny_unknown_fields)]`, so that a slip of the
    /// pen is an error.
    type Settings: serde::de::DeserializeOwned;

    /// Makes the plugin. It must depend on nothing but the settings. An error is shown to the operator.
    fn configure(settings: Self::Settings) -> Result<Self, String>;

    /// Says what should become of the event.
    fn judge(&self, event: &Event, context: &Context) -> Verdict;
}
