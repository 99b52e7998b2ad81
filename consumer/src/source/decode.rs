//! From Kafka's record to ours, or to an unreadable one with as much of its place as can be known.

use super::salvage::salvage;
use super::{Incoming, Origin};
use confab_protocol::{Cursor, EventId, Record, Room};
use confab_store::Entry;
use rdkafka::message::{BorrowedMessage, Headers, Message};

/// Reads a record. It never fails: what cannot be read says why.
pub fn incoming(message: &BorrowedMessage<'_>) -> Incoming {
    let key = message.key().unwrap_or_default().to_vec();
    let value = message.payload().unwrap_or_default().to_vec();
    let entry = match Record::from_json(&value) {
        Ok(record) => Entry::Record(record.into()),
        Err(error) => {
            let id = message.headers().and_then(|headers| {
                let header = headers.iter().find(|header| header.key == "id")?;
                std::str::from_utf8(header.value?).ok()?.parse().ok()
            });
            Entry::Unreadable { place: place(&key, id, &value), reason: error.to_string() }
        }
    };
    let partition = message.partition();
    let offset = message.offset();
    Incoming { entry, origin: Origin { partition, offset, key, value, lettered: false } }
}

/// Room, place and id of a record that cannot be read. Key and header are believed before the broken value.
fn place(key: &[u8], id: Option<EventId>, value: &[u8]) -> Option<(Room, Cursor, EventId)> {
    let salvaged = salvage(value);
    let room = std::str::from_utf8(key).ok().and_then(|key| Room::new(key).ok()).or(salvaged.room)?;
    let cursor = Cursor { epoch: salvaged.epoch?, offset: salvaged.offset.filter(|offset| *offset > 0)? };
    Some((room, cursor, id.or(salvaged.id)?))
}
