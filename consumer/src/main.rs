//! `confab-consumer`: from the journal into the store.

fn main() {}
