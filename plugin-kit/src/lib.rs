//! What a plugin's author needs, without a hub: the manifest and the settings schema that travel inside a component, golden
//! cases, toolchains for three languages, and templates to begin with.
//!
//! - [`manifest`]: `plugin.toml`, what a plugin is and asks for.
//! - [`embed`]: puts manifest and schema into a component and reads them back, so that one file is a plugin.
//! - [`component`]: what a component says of itself: its contract and the capabilities it imports.
//! - [`project`]: a plugin's folder. [`build`] makes a component of it.
//! - [`settings`]: settings as a plugin is handed them. [`schema`] checks them against the plugin's JSON Schema.
//! - [`golden`]: events in, verdicts out, in a file that plugins in every language can share.
//! - [`template`]: a new plugin that builds and passes its tests as it is.
//!
//! All of it blocks, and every failure is a finding for a person: what, where, and what to do.

pub mod build;
pub mod component;
pub mod embed;
mod error;
pub mod golden;
pub mod manifest;
pub mod plain;
pub mod project;
pub mod schema;
pub mod settings;
pub mod template;
mod tools;

pub use error::{Error, Result};
pub use tools::cache;

/// The contract's text, `plugin-sdk/wit/plugin.wit`.
pub const CONTRACT: &str = include_str!("../../plugin-sdk/wit/plugin.wit");
