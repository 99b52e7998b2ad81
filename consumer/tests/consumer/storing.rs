//! What is stored while all is well, and what a replay makes of it.

use crate::eventually;
use crate::fixture::{Database, Fixture, admin, event, message, talk};
use confab_config::ConsumerConfig;
use confab_protocol::{EventId, Kind, Record, Room};
use rdkafka::admin::AdminOptions;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_is_stored_once_and_rooms_are_without_a_hole() {
    let fixture = Fixture::new(4).await;
    let running = fixture.start();
    fixture.produce(&talk(20, 250));
    fixture.stored(5000).await;
    let store = fixture.database.store();
    for room in 0..20 {
        let room = Room::new(format!("room:{room}")).unwrap();
        assert_eq!(store.contiguous(&room, 1).await.unwrap(), 250, "{room}");
    }
    assert_eq!(fixture.database.count("messages").await, 5000);
    eventually("all are counted", || async { running.metrics.records.get() == 5000 }).await;
    assert_eq!((running.metrics.copies.get(), running.metrics.duplicates.get()), (0, 0));
    assert!(running.metrics.batches.get() >= 25, "no transaction is larger than it may be");
    assert_eq!(running.readiness.trouble(), None);
    let positions: u64 = positions(&fixture).await.iter().sum();
    assert_eq!(positions, 5000);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_killed_again_and_again_stores_nothing_twice() {
    let fixture = Fixture::new(2).await;
    fixture.produce(&talk(5, 600));
    let mut killed = 0;
    while fixture.database.count("events").await < 3000 && killed < 6 {
        let running = fixture.start();
        let before = fixture.database.count("events").await;
        let more = || async { fixture.database.count("events").await > before };
        eventually("it gets on", more).await;
        running.kill().await;
        killed += 1;
    }
    let running = fixture.start();
    fixture.stored(3000).await;
    assert!(killed > 0);
    assert_eq!(positions(&fixture).await.iter().sum::<u64>(), 3000);
    assert_eq!(running.metrics.copies.get(), 0, "it began where the last transaction ended");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_and_late_retries_change_nothing_that_is_served() {
    let fixture = Fixture::new(1).await;
    let said = message("room", 1, "once");
    let mut retried = said.clone();
    retried.event.id = EventId::fresh();
    retried.cursor.offset = 2;
    fixture.produce(&[said.clone(), said.clone(), retried, said, message("room", 3, "then")]);
    let running = fixture.start();
    fixture.stored(3).await;
    eventually("all are counted", || async { running.metrics.records.get() == 5 }).await;
    assert_eq!((running.metrics.copies.get(), running.metrics.duplicates.get()), (2, 1));
    assert_eq!(fixture.database.count("messages").await, 2, "said once");
    assert_eq!(fixture.database.store().contiguous(&Room::new("room").unwrap(), 1).await.unwrap(), 3);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_into_an_empty_database_gives_the_same_tables() {
    let mut fixture = Fixture::new(2).await;
    let records = conversation();
    let count = i64::try_from(records.len()).unwrap();
    fixture.produce(&records);
    fixture.produce(&records[..40]);
    let running = fixture.start();
    fixture.stored(count).await;
    eventually("all are counted", || async { running.metrics.records.get() == records.len() as u64 + 40 }).await;
    running.stop().await;
    let first = std::mem::replace(&mut fixture.database, Database::create().await);

    // Another group and other batches: neither is to matter.
    fixture.consumer =
        ConsumerConfig { group: format!("{}-again", fixture.consumer.group), batch_records: 7, ..fixture.consumer };
    let running = fixture.start();
    fixture.stored(count).await;
    eventually("all are counted", || async { running.metrics.records.get() == records.len() as u64 + 40 }).await;
    running.stop().await;
    let (first, second) = (first.dump().await, fixture.database.dump().await);
    assert!(first.len() > records.len());
    assert_eq!(first, second);
}

/// Messages with edits before them, edits swapped, deletes, reactions, and a retry after the window.
fn conversation() -> Vec<Record> {
    let mut records = Vec::new();
    for room in ["a", "b", "c"] {
        let said: Vec<_> = (1..=20).map(|n| message(room, n, "hello")).collect();
        let id = |n: usize| Some(said[n].event.id);
        let mut late = said[3].clone();
        (late.event.id, late.cursor.offset) = (EventId::fresh(), 26);
        let mut after = vec![
            event(Kind::Edit, room, 22, id(0), r#"{"text":"second"}"#),
            event(Kind::Edit, room, 21, id(0), r#"{"text":"first"}"#),
            event(Kind::Delete, room, 23, id(1), "{}"),
            event(Kind::Reaction, room, 24, id(2), r#"{"reaction":"👍"}"#),
            event(Kind::Unreaction, room, 25, id(2), r#"{"reaction":"👍"}"#),
            late,
        ];
        // The first edit lands before its message.
        records.push(after.remove(0));
        records.extend(said);
        records.extend(after);
    }
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_retention_took_before_they_were_stored_are_counted() {
    let fixture = Fixture::new(1).await;
    fixture.produce(&talk(1, 10));
    let running = fixture.start();
    fixture.stored(10).await;
    running.stop().await;
    let more: Vec<_> = (11..=30).map(|n| message("room:0", n, "later")).collect();
    fixture.produce(&more);
    let mut until = TopicPartitionList::new();
    until.add_partition_offset(&fixture.kafka.events_topic(), 0, Offset::Offset(25)).unwrap();
    let deleted = admin(&fixture.kafka).delete_records(&until, &AdminOptions::new()).await.unwrap();
    deleted.elements()[0].error().unwrap();

    let running = fixture.start();
    fixture.stored(15).await;
    assert_eq!(running.metrics.lost.get(), 15);
    let room = Room::new("room:0").unwrap();
    assert_eq!(fixture.database.store().contiguous(&room, 1).await.unwrap(), 10, "the hole is not hidden");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_made_anew_or_copied_is_read_from_its_beginning_and_nothing_is_skipped() {
    for is_the_same in [true, false] {
        let fixture = Fixture::new(1).await;
        let said: Vec<_> = (1..=30).map(|n| message("room:0", n, "hello")).collect();
        fixture.produce(&said);
        // The store has read ten records of a topic with this name: these, or others that the topic does not have.
        let last = if is_the_same { said[9].event.id } else { EventId::fresh() };
        let topic = fixture.kafka.events_topic();
        let position =
            format!("insert into positions (topic, partition, next, last_id) values ('{topic}', 0, 10, '{last}')");
        fixture.database.execute(&position).await;
        let running = fixture.start();
        fixture.stored(if is_the_same { 20 } else { 30 }).await;
        eventually("the position is at the end", || async { positions(&fixture).await == [30] }).await;
        assert_eq!(running.metrics.replaced.get(), u64::from(!is_the_same));
        running.stop().await;

        let more: Vec<_> = (31..=35).map(|n| message("room:0", n, "hello")).collect();
        fixture.produce(&more);
        let running = fixture.start();
        fixture.stored(if is_the_same { 25 } else { 35 }).await;
        assert_eq!((running.metrics.replaced.get(), running.metrics.copies.get()), (0, 0), "it goes on where it was");
        running.stop().await;
    }
}

/// Where the store is in each partition.
pub async fn positions(fixture: &Fixture) -> Vec<u64> {
    let (store, topic) = (fixture.database.store(), fixture.kafka.events_topic());
    let mut positions = Vec::new();
    for partition in 0..fixture.kafka.partitions {
        let next = store.position(&topic, partition).await.unwrap().unwrap_or(0);
        positions.push(u64::try_from(next).unwrap());
    }
    positions
}
