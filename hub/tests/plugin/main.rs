//! Plugins, through the chain's front door: what they say, how they fail, and what they cannot do to anyone else.

mod breaker;
mod capabilities;
mod chain;
mod effects;
mod faults;
mod http;
mod isolation;
mod kv;
mod languages;
mod loading;
mod reload;
mod sample;
mod servers;
mod support;
#[path = "../shared/waiting.rs"]
mod waiting;
