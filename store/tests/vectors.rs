//! What events add up to, as `vectors/fold.json` says for every program that folds them; `clients/js` is tested by the same file.

mod support;

use confab_protocol::{Body, Kind, Record};
use confab_store::{Message, Store};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use support::Vary;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    events: Vec<Written>,
    messages: Vec<Expected>,
}

#[derive(Deserialize)]
struct Written {
    r#type: String,
    n: u128,
    place: (u64, u64),
    by: String,
    key: Option<String>,
    body: Value,
    target: Option<u128>,
    thread: Option<u128>,
    #[serde(default)]
    annotations: BTreeMap<String, Value>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Expected {
    n: u128,
    place: (u64, u64),
    by: String,
    key: Option<String>,
    body: Value,
    edited: Option<u64>,
    #[serde(default)]
    deleted: bool,
    thread: Option<u128>,
    #[serde(default)]
    annotations: BTreeMap<String, Value>,
    #[serde(default)]
    reactions: Vec<(String, Vec<String>)>,
}

/// When the first events were, in milliseconds.
const BEGINNING: u64 = 1_700_000_000_000;

impl Written {
    fn record(&self) -> Record {
        let kind = Kind::from_name(&self.r#type).expect("a kind");
        let mut record = support::record(kind, self.n, self.place).by(&self.by).saying(&self.body.to_string());
        if let Some(key) = &self.key {
            record = record.key(key);
        }
        record.event.target = self.target.map(support::id);
        record.event.thread = self.thread.map(support::id);
        record.event.annotations =
            self.annotations.iter().map(|(name, value)| (name.clone(), Body::of(value))).collect();
        record
    }
}

impl Expected {
    /// A message of the store in the same words. The key is compared where the case says one.
    fn of(message: &Message, expected: &Self) -> Self {
        let mut reactions: Vec<(String, Vec<String>)> = Vec::new();
        for (reaction, users) in &message.reactions {
            reactions.push((reaction.clone(), users.iter().map(ToString::to_string).collect()));
        }
        Self {
            n: message.id.0.as_u128(),
            place: (message.cursor.epoch.0, message.cursor.offset),
            by: message.sender.user.to_string(),
            key: expected.key.as_ref().map(|_| message.key.as_str().to_owned()),
            body: serde_json::from_str(message.body.as_str()).expect("JSON"),
            edited: message.edited_at.map(|at| at - BEGINNING),
            deleted: message.deleted,
            thread: message.thread.map(|id| id.0.as_u128()),
            annotations: message.annotations.iter().map(|(name, value)| (name.clone(), json(value))).collect(),
            reactions,
        }
    }
}

fn json(body: &Body) -> Value {
    serde_json::from_str(body.as_str()).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn events_add_up_to_what_every_program_that_folds_them_says() {
    let vectors: Vectors = serde_json::from_str(include_str!("vectors/fold.json")).expect("the vectors are read");
    assert!(vectors.cases.len() > 10, "the vectors are there");
    for case in &vectors.cases {
        support::with_sqlite(async |store| check(&store, case).await).await;
    }
}

async fn check(store: &Store, case: &Case) {
    let mut records: Vec<Arc<Record>> = Vec::new();
    for event in &case.events {
        let record = event.record();
        support::apply(store, std::slice::from_ref(&record)).await;
        records.push(record.into());
    }
    records.sort_by_key(|record| record.cursor);
    records.dedup_by_key(|record| record.cursor);
    let folded = store.messages(&support::room(), &records, &[]).await.expect("the messages");
    let found: Vec<_> = folded
        .messages
        .iter()
        .enumerate()
        .map(|(i, message)| {
            Expected::of(
                message,
                case.messages.get(i).unwrap_or_else(|| panic!("{}: one too many: {message:?}", case.name)),
            )
        })
        .collect();
    assert_eq!(found, case.messages, "{}", case.name);
}
