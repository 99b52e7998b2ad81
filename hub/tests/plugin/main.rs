//! Plugins, through the chain's front door: what they say, how they fail, and what they cannot do to anyone else.

mod breaker;
mod chain;
mod faults;
mod isolation;
mod loading;
mod reload;
mod sample;
mod support;
