//! The dead letters: reads what the consumer put aside, and notes in the same topic what became of it.
//!
//! Kafka's records cannot be changed, so that a letter is settled is a record of its own, a *note*, behind it in its partition:
//! without key and value, with the headers `settles` (the letter's offset) and `outcome`. What lies before the first letter that
//! waits is then removed from the topic, so that what was dropped is gone from there too.

use super::context::Reading;
use super::tail::{partitions, reader};
use super::{Error, failed, producer_config, settings};
use confab_config::KafkaConfig;
use confab_protocol::Millis;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tracing::warn;

/// How long the brokers may show nothing new before reading is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The header of a note: the offset of the letter that it settles.
const SETTLES: &str = "settles";
/// The header of a note: what became of the letter.
const OUTCOME: &str = "outcome";

/// Where a letter lies in the topic of dead letters. People write it `PARTITION-OFFSET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    /// The partition.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.partition, self.offset)
    }
}

impl std::str::FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = || {
            let (partition, offset) = text.split_once('-')?;
            Some(Self {
                partition: partition.parse().ok()?,
                offset: offset.parse().ok().filter(|offset| *offset >= 0)?,
            })
        };
        number().ok_or_else(|| "a dead letter has a number like 0-17: `confab dead-letters list` shows them".into())
    }
}

/// A letter that waits, without the record itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Which one it is.
    pub number: Number,
    /// When it was written, in milliseconds since 1970.
    pub at: Option<Millis>,
    /// The record's key: the room, if it was a record of ours.
    pub room: String,
    /// The event, if that can still be read.
    pub id: Option<String>,
    /// Why the record could not be stored.
    pub reason: String,
    /// The topic, partition and offset where the record lay.
    pub origin: (String, String, String),
    /// How large the record is.
    pub bytes: usize,
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its record is in the store.
    Stored,
    /// Its record was given up.
    Dropped,
}

impl Outcome {
    /// Its name in notes and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Dropped => "dropped",
        }
    }
}

/// The letters that wait, and how far the topic was read.
#[derive(Debug, Default)]
pub struct Waiting {
    /// The letters, partition by partition, the oldest first.
    pub letters: Vec<Letter>,
    /// The ends of the partitions as they were.
    ends: BTreeMap<i32, i64>,
}

/// Finds the letters that wait. Blocks.
///
/// # Errors
/// [`Error::Failed`] where the brokers cannot be reached or have no such topic.
pub fn waiting(config: &KafkaConfig) -> Result<Waiting, Error> {
    let mut letters = BTreeMap::new();
    let mut settled = BTreeSet::new();
    let from = |begin, _| begin;
    let ends = read(config, from, |message| {
        let partition = message.partition();
        match header(message, SETTLES).and_then(|offset| offset.parse().ok()) {
            Some(offset) => drop(settled.insert(Number { partition, offset })),
            None => drop(letters.insert(Number { partition, offset: message.offset() }, letter(message))),
        }
        true
    })?;
    letters.retain(|number, _| !settled.contains(number));
    Ok(Waiting { letters: letters.into_values().collect(), ends })
}

/// Hands out the records of these letters, as they came to the consumer, until `each` says no. Blocks.
///
/// # Errors
/// [`Error::Failed`] where the brokers cannot be reached.
pub fn records(
    config: &KafkaConfig,
    wanted: &BTreeSet<Number>,
    mut each: impl FnMut(Number, Vec<u8>) -> bool,
) -> Result<(), Error> {
    let first = |begin: i64, partition: i32| {
        let of_partition = wanted.iter().filter(|number| number.partition == partition);
        of_partition.map(|number| number.offset).min().map_or(i64::MAX, |first| first.max(begin))
    };
    let read = read(config, first, |message| {
        let number = Number { partition: message.partition(), offset: message.offset() };
        !wanted.contains(&number) || each(number, message.payload().unwrap_or_default().to_vec())
    });
    read.map(drop)
}

/// Notes what became of letters.
///
/// # Errors
/// [`Error::Failed`]: some may still wait. Settling one again is no harm.
pub async fn settle(config: &KafkaConfig, letters: &[Number], outcome: Outcome) -> Result<(), Error> {
    let doing = || "note what became of a dead letter";
    let producer: FutureProducer<Reading> =
        producer_config(config)?.create_with_context(Reading::default()).map_err(|error| settings(&error))?;
    let topic = config.dead_letters_topic();
    for number in letters {
        let offset = number.offset.to_string();
        let headers = OwnedHeaders::new_with_capacity(2)
            .insert(Header { key: SETTLES, value: Some(&offset) })
            .insert(Header { key: OUTCOME, value: Some(outcome.as_str()) });
        let note: FutureRecord<'_, (), ()> = FutureRecord::to(&topic).partition(number.partition).headers(headers);
        producer.send(note, PATIENCE).await.map_err(|(error, _)| failed(doing(), error))?;
    }
    Ok(())
}

/// Removes what lies before the first letter that waits, as `waiting` found it after the last was settled.
///
/// # Errors
/// [`Error::Failed`]: the brokers do not allow it, or cannot be reached. The letters are settled nevertheless.
pub async fn remove_settled(config: &KafkaConfig, waiting: &Waiting) -> Result<(), Error> {
    let doing = || format!("remove settled dead letters from topic \"{}\"", config.dead_letters_topic());
    let mut before = TopicPartitionList::new();
    for (&partition, &end) in &waiting.ends {
        let of_partition = waiting.letters.iter().map(|letter| letter.number);
        let first = of_partition.filter(|number| number.partition == partition).map(|number| number.offset).min();
        let before_this = Offset::Offset(first.unwrap_or(end));
        let added = before.add_partition_offset(&config.dead_letters_topic(), partition, before_this);
        added.map_err(|error| failed(doing(), error))?;
    }
    if before.count() == 0 {
        return Ok(());
    }
    let admin: AdminClient<Reading> =
        super::client_config(config, &[])?.create_with_context(Reading::default()).map_err(|error| settings(&error))?;
    let options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
    let removed = admin.delete_records(&before, &options).await.map_err(|error| failed(doing(), error))?;
    for partition in removed.elements() {
        partition.error().map_err(|error| failed(doing(), error))?;
    }
    Ok(())
}

/// Reads every partition from where `from` says (given its beginning and number) to its end as it is now, until `each` says no.
/// Returns the ends.
fn read(
    config: &KafkaConfig,
    from: impl Fn(i64, i32) -> i64,
    mut each: impl FnMut(&BorrowedMessage<'_>) -> bool,
) -> Result<BTreeMap<i32, i64>, Error> {
    let topic = config.dead_letters_topic();
    let doing = || format!("read the dead letters in topic \"{topic}\"");
    let found = |error: KafkaError| failed(doing(), error);
    let consumer: BaseConsumer<Reading> = reader(config)?;
    let mut ends = BTreeMap::new();
    let mut open = BTreeMap::new();
    let mut assignment = TopicPartitionList::new();
    for partition in partitions(&consumer, &topic, PATIENCE)? {
        let (begin, end) = consumer.fetch_watermarks(&topic, partition, PATIENCE).map_err(found)?;
        let from = from(begin, partition);
        ends.insert(partition, end);
        if from < end {
            assignment.add_partition_offset(&topic, partition, Offset::Offset(from)).map_err(found)?;
            open.insert(partition, end);
        }
    }
    if open.is_empty() {
        return Ok(ends);
    }
    consumer.assign(&assignment).map_err(found)?;
    let mut heard = Instant::now();
    while !open.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                let (partition, offset) = (message.partition(), message.offset());
                let Some(&end) = open.get(&partition) else { continue };
                if offset < end && !each(&message) {
                    return Ok(ends);
                }
                if offset + 1 >= end {
                    open.remove(&partition);
                }
            }
            // The end of a partition may be no record: a transaction's mark, or what was removed meanwhile.
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(open.remove(&partition)),
            Some(Err(error)) => warn!(%error, topic, "trouble while reading the dead letters"),
            None if heard.elapsed() > PATIENCE => {
                return Err(failed(doing(), format!("no answer within {} s", PATIENCE.as_secs())));
            }
            None => {}
        }
    }
    Ok(ends)
}

fn letter(message: &BorrowedMessage<'_>) -> Letter {
    /// What is wanted of a record, which may be of any version.
    #[derive(Deserialize)]
    struct Named {
        id: String,
    }
    let value = message.payload().unwrap_or_default();
    let header = |name| header(message, name).unwrap_or_default();
    Letter {
        number: Number { partition: message.partition(), offset: message.offset() },
        at: message.timestamp().to_millis().and_then(|at| u64::try_from(at).ok()),
        room: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
        id: serde_json::from_slice::<Named>(value).ok().map(|named| named.id),
        reason: header("reason"),
        origin: (header("origin-topic"), header("origin-partition"), header("origin-offset")),
        bytes: value.len(),
    }
}

fn header(message: &BorrowedMessage<'_>, name: &str) -> Option<String> {
    let header = message.headers()?.iter().find(|header| header.key == name)?;
    Some(String::from_utf8_lossy(header.value?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_named_by_partition_and_offset() {
        let number: Number = "2-17".parse().unwrap();
        assert_eq!((number, number.to_string().as_str()), (Number { partition: 2, offset: 17 }, "2-17"));
        for wrong in ["17", "a-1", "1-", "1--2", ""] {
            assert!(wrong.parse::<Number>().unwrap_err().contains("0-17"), "{wrong}");
        }
    }
}
