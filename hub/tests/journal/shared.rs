//! The face that both journals share: what was taken is there, once, byte for byte.

use crate::{record, settings};
use confab_hub::journal::{Journal, Kafka, Sqlite, topics};
use confab_protocol::{Record, Room};
use confab_store::{Query, Store};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Appends one by one and many at once, and reads all of one room back, in order.
async fn keeps_what_it_took<F: Future<Output = Vec<Record>>>(journal: &Journal, read: impl Fn(Room) -> F) {
    let records: Vec<_> = (1..=40).map(|offset| record("shared", offset)).collect();
    for record in &records[..20] {
        journal.append(record).await.expect("kept");
    }
    let many = records[20..].iter().map(|record| journal.append(record));
    for answer in futures_util::future::join_all(many).await {
        answer.expect("kept");
    }
    journal.append(&record("elsewhere", 1)).await.expect("kept");
    let found = read(Room::new("shared").unwrap()).await;
    assert_eq!(found.len(), 40);
    for (found, kept) in found.iter().zip(&records) {
        assert_eq!(found.to_json(), kept.to_json());
    }
    assert!(journal.healthy());
    let counters = journal.counters();
    assert_eq!((counters.delivered(), counters.in_flight()), (41, 0));
    assert_eq!((counters.refused(), counters.unknown()), (0, 0));
}

#[tokio::test]
async fn kafka_keeps_what_it_took() {
    let config = settings();
    topics::migrate(&config).await.unwrap();
    let kafka = Kafka::connect(config).unwrap();
    kafka.ready(Duration::from_secs(20)).await.unwrap();
    let read = |room: Room| {
        let kafka = kafka.clone();
        async move {
            let found: Arc<Mutex<Vec<Record>>> = Arc::default();
            let each = Arc::clone(&found);
            let of_room = move |record: Record| {
                if record.event.room == room {
                    each.lock().push(record);
                }
            };
            kafka.tail(0, Duration::from_secs(20), of_room).await.unwrap();
            std::mem::take(&mut *found.lock())
        }
    };
    keeps_what_it_took(&Journal::Kafka(kafka.clone()), read).await;
}

#[tokio::test]
async fn sqlite_keeps_what_it_took_and_refuses_what_it_cannot_keep() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::sqlite(&folder.path().join("confab.db")).await.unwrap();
    store.migrate().await.unwrap();
    let sqlite = Sqlite::new(store.clone());
    let read = |room: Room| {
        let store = store.clone();
        async move {
            store
                .page(&room, Query { since: None, reverse: false, limit: 100, bytes: usize::MAX, stored_before: 0 })
                .await
                .unwrap()
                .records
        }
    };
    keeps_what_it_took(&Journal::Sqlite(sqlite.clone()), &read).await;

    let mut poison = (*record("shared", 41)).clone();
    poison.event.body = confab_protocol::Body::parse(r#"{"text":"\u0000"}"#).unwrap();
    let neighbours = [record("shared", 42), Arc::new(poison)];
    let refused = sqlite.append_all(&neighbours).await.unwrap_err();
    assert!(matches!(refused, confab_hub::journal::Error::Refused(_)), "{refused:?}");
    assert_eq!(read(Room::new("shared").unwrap()).await.len(), 40, "nothing of the batch was kept");
    assert_eq!((sqlite.counters().refused(), sqlite.counters().in_flight()), (2, 0));
    store.close().await;
    assert!(sqlite.append_all(&neighbours[..1]).await.is_err(), "a closed file keeps nothing");
}
