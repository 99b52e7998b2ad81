//! Rebuilds the crate when a migration changes: the macro that embeds them does not see new files.

#![allow(clippy::print_stdout)] // this is how a build script speaks to cargo

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
