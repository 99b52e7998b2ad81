//! Records that cannot be stored, and their neighbours, which can.

use crate::fixture::{Fixture, client, event, message};
use crate::{LONG, eventually};
use confab_consumer::source::old_letters;
use confab_protocol::{EventId, Kind, Room};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_goes_to_the_dead_letters_and_its_neighbours_are_stored() {
    let fixture = Fixture::new(1).await;
    let said = |n| message("room", n, "fine");
    fixture.produce(&[said(1), said(2)]);
    // Offset 2: nothing of it is known. Offset 3: it tells its place before it breaks.
    fixture.produce_raw("room", None, b"{ this is no record");
    let cut = said(3).to_json();
    fixture.produce_raw("room", Some(EventId::fresh()), &cut.as_bytes()[..cut.find("\"body\"").unwrap() + 8]);
    // Offset 5: no column can hold it. Offset 6: it is of a later time.
    fixture.produce(&[said(4), event(Kind::Message, "room", 5, None, r#"{"text":"a\u0000b"}"#)]);
    let newer = said(6);
    fixture.produce_raw("room", Some(newer.event.id), newer.to_json().replacen("\"v\":1", "\"v\":99", 1).as_bytes());
    fixture.produce(&[said(7), said(8)]);

    let running = fixture.start();
    fixture.stored(8).await;
    eventually("all are counted", || async { running.metrics.records.get() == 9 }).await;
    let room = Room::new("room").unwrap();
    assert_eq!(fixture.database.count("messages").await, 5);
    assert_eq!(fixture.database.count("events where kind = 'unreadable'").await, 3, "their places are kept");
    assert_eq!(fixture.database.store().contiguous(&room, 1).await.unwrap(), 8, "no hole stops the readers");

    let letters = read_letters(&fixture, 4);
    let reasons: BTreeMap<_, _> = letters.iter().map(|letter| (letter["origin-offset"].as_str(), letter)).collect();
    assert_eq!(reasons.keys().copied().collect::<Vec<_>>(), ["2", "3", "5", "6"]);
    assert!(reasons["5"]["reason"].contains("NUL"), "{}", reasons["5"]["reason"]);
    assert!(reasons["6"]["reason"].contains("version 99"), "{}", reasons["6"]["reason"]);
    assert_eq!(reasons["2"]["value"], "{ this is no record");
    for letter in letters {
        assert_eq!((&*letter["origin-topic"], &*letter["origin-partition"]), (&*fixture.kafka.events_topic(), "0"));
        assert_eq!(letter["key"], "room");
    }
    assert_eq!(running.metrics.dead_letters.get(), 4);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_blames_no_record_is_tried_again_and_nothing_becomes_a_dead_letter() {
    let fixture = Fixture::new(1).await;
    // Readable records are refused, what only keeps a place is not: with a state of its own, and with a trigger's own word.
    for code in ["25P04", "XX002", "0A000", "P0001"] {
        let objects = format!("begin raise exception 'not now' using errcode = '{code}'; end");
        let function =
            format!("create or replace function object() returns trigger language plpgsql as $$ {objects} $$");
        let trigger = "create trigger object before insert on events for each row when (new.kind = 'message')
                       execute function object()";
        fixture.database.execute(&function).await;
        fixture.database.execute(trigger).await;
        let before = fixture.database.count("events").await;
        let n = u64::try_from(before).unwrap() + 1;
        fixture.produce(&[message("room", n, "fine")]);
        let running = fixture.start();
        eventually("it was tried again", || async { running.metrics.store_retries.get() > 1 }).await;
        assert_eq!(running.metrics.dead_letters.get(), 0, "{code}");
        fixture.database.execute("drop trigger object on events").await;
        fixture.stored(before + 1).await;
        assert_eq!(fixture.database.count("events where kind = 'unreadable'").await, 0, "{code}");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_past_the_retention_leave_their_topic_and_younger_ones_stay() {
    let fixture = Fixture::new(1).await;
    fixture.produce_raw("room", None, b"{ this is no record");
    fixture.produce(&[message("room", 1, "fine")]);
    let running = fixture.start();
    fixture.stored(1).await;
    eventually("the letter is written", || async { running.metrics.dead_letters.get() == 1 }).await;
    let remove = async |before| old_letters::remove_before(&fixture.kafka, before).await.unwrap();
    assert_eq!(remove(1_600_000_000_000).await, 0, "it is younger than that");
    assert_eq!(read_letters(&fixture, 1).len(), 1);
    assert_eq!(remove(4_000_000_000_000).await, 1);
    assert_eq!(remove(4_000_000_000_000).await, 0, "none is left");
    fixture.produce_raw("room", None, b"{ nor is this");
    eventually("the next is written", || async { running.metrics.dead_letters.get() == 2 }).await;
    let letters = read_letters(&fixture, 1);
    assert_eq!(letters.iter().map(|letter| letter["value"].as_str()).collect::<Vec<_>>(), ["{ nor is this"]);
    running.stop().await;
}

/// The dead letters: their headers, and key and value under these names.
fn read_letters(fixture: &Fixture, count: usize) -> Vec<BTreeMap<String, String>> {
    let consumer: BaseConsumer =
        client(&fixture.kafka).set("group.id", "letters").set("enable.auto.commit", "false").create().unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(&fixture.kafka.dead_letters_topic(), 0, Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    let (mut letters, until) = (Vec::new(), Instant::now() + LONG);
    let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
    loop {
        match consumer.poll(Duration::from_millis(300)) {
            Some(message) => {
                let message = message.unwrap();
                let headers = message.headers().unwrap().iter();
                let mut letter: BTreeMap<_, _> =
                    headers.map(|header| (header.key.to_owned(), text(header.value))).collect();
                letter.insert("key".into(), text(message.key()));
                letter.insert("value".into(), text(message.payload()));
                letters.push(letter);
            }
            // A quiet moment after all are read: no letter was written twice.
            None if letters.len() >= count || Instant::now() > until => return letters,
            None => {}
        }
    }
}
