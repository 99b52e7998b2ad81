//! Prints how many rows a second each back-end takes, in batches of the size that its caller makes.
//!
//! `CONFAB_TEST_POSTGRES=postgres://… cargo run --release -p confab-store --example apply_rate [rows]`

#![allow(clippy::print_stdout)] // its purpose

#[path = "../tests/support/mod.rs"]
mod support;

use confab_protocol::{Body, Key, Record, Room};
use confab_store::{Advance, Entry, Store};
use std::time::Instant;

const ROOMS: u128 = 100;
const BODY: &str = "a hundred and sixty bytes of the sort of thing that people say to one another, twice: once to be heard, \
                    and once more to be sure that they have been understood";

fn record(n: u128) -> Record {
    let mut record = support::message(n, (1, (n / ROOMS) as u64 + 1));
    record.event.id = confab_protocol::EventId::fresh();
    record.event.room = Room::new(format!("team:{}", n % ROOMS)).expect("a name");
    record.event.key = Key::fresh();
    record.event.digest = "0123456789abcdef0123456789abcdef".into();
    record.event.body = Body::of(&serde_json::json!({ "text": BODY }));
    record
}

async fn measure(name: &str, store: &Store, rows: u128, batch: u128) {
    let batches: Vec<Vec<Entry>> = (0..rows / batch)
        .map(|b| (b * batch..(b + 1) * batch).map(|n| Entry::Record(record(n).into())).collect())
        .collect();
    let begun = Instant::now();
    let mut slowest = 0.0f64;
    for (n, entries) in (0..).zip(&batches) {
        let expected = (n > 0).then_some(n);
        let advance = [Advance { topic: "rate".into(), partition: 0, expected, next: n + 1, last: None }];
        let batch_begun = Instant::now();
        store.apply(entries, &advance).await.expect("the batch is taken");
        slowest = slowest.max(batch_begun.elapsed().as_secs_f64());
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{name}: {rows} rows in batches of {batch}: {:.0} rows/s, {:.2} ms a batch, slowest {:.1} ms",
        rows as f64 / seconds,
        1000.0 * seconds / batches.len() as f64,
        1000.0 * slowest
    );
}

#[tokio::main]
async fn main() {
    let rows = std::env::args().nth(1).map_or(20_000, |text| text.parse().expect("a number of rows"));
    support::with_sqlite(async |store| {
        measure("sqlite", &store, rows, 100).await;
    })
    .await;
    support::with_postgres(move |store| async move {
        measure("postgres", &store, rows, 1000).await;
    })
    .await;
}
