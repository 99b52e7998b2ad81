//! `confab`: the hub and its command line.

fn main() {}
