//! The journal against a real Kafka, and against SQLite where the face is shared.

mod broker;
mod kafka;
mod outage;
mod shared;
mod topics;
#[path = "../shared/waiting.rs"]
mod waiting;

use confab_config::KafkaConfig;
use confab_protocol::{
    Annotations, Body, Cursor, Event, EventId, Key, Kind, Millis, Record, Room, Sender, Trail, UserId,
};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A variable that names a service for tests.
fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test`, which starts the services"))
}

/// Settings for the shared broker, with topics of the test's own.
fn settings() -> KafkaConfig {
    KafkaConfig {
        brokers: vec![variable("CONFAB_TEST_KAFKA")],
        topic_prefix: format!("journal-{}", EventId::fresh()),
        partitions: 3,
        ..KafkaConfig::default()
    }
}

/// Waits for a state.
async fn eventually<F: Future<Output = bool>>(what: &str, deadline: Duration, mut state: impl FnMut() -> F) {
    waiting::until(what, deadline, async || state().await.then_some(())).await;
}

fn now() -> Millis {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A message in a room, at a place.
fn record(room: &str, offset: u64) -> Arc<Record> {
    let event = Event {
        kind: Kind::Message,
        id: EventId::fresh(),
        room: Room::new(room).unwrap(),
        sender: Sender { user: UserId::new("ada").unwrap(), client: None, info: None },
        key: Key::fresh(),
        digest: "d".into(),
        at: now(),
        body: Body::parse(format!(r#"{{"text":"hi {offset}",  "n":1.00}}"#)).unwrap(),
        target: None,
        thread: None,
        annotations: Annotations::new(),
    };
    Arc::new(Record { event, cursor: Cursor::new(1, offset), trail: Trail::default() })
}
