//! Plugins, through the chain's front door: what they say, how they fail, and what they cannot do to anyone else.

mod chain;
mod faults;
mod isolation;
mod loading;
mod reload;
mod support;
