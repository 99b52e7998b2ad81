//! The event in the journal, with its place and the way it was judged; also its one JSON form everywhere but in a
//! native publication.

use crate::{Annotations, Body, Cursor, Epoch, Event, EventId, Key, Kind, Millis, Room, Sender};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The version that new records carry.
pub const RECORD_VERSION: u32 = 1;

/// What a plugin's call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictName {
    /// It let the event through.
    Accept,
    /// It gave the event another body.
    Replace,
    /// It refused the event.
    Reject,
    /// It set the event aside for a moderator.
    Hold,
    /// It failed; its `on_fault` decided.
    Fault,
}

impl VerdictName {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Replace => "replace",
            Self::Reject => "reject",
            Self::Hold => "hold",
            Self::Fault => "fault",
        }
    }
}

/// One plugin's part in the judging of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The plugin's name in hub.toml.
    pub plugin: String,
    /// The hash of its module.
    pub hash: String,
    /// What it said.
    pub verdict: VerdictName,
    /// How long the call took, in microseconds.
    pub us: u64,
    /// It only watched: nothing followed from what it said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
}

/// Which chain judged an event, and what each plugin said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// The chain's version: a digest of its plugins, their order and settings.
    pub chain: String,
    /// The plugins that were asked, in order.
    pub steps: Vec<Step>,
}

/// An event with its place in the room's order and the trail of its judging: what the journal keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What happened.
    pub event: Event,
    /// Its place.
    pub cursor: Cursor,
    /// How it was judged.
    pub trail: Trail,
}

impl Record {
    /// The record as JSON text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a record has a JSON form")
    }

    /// The record as users see it: without its trail, which is for operators and moderators.
    pub fn public(&self) -> PublicRecord<'_> {
        PublicRecord(self)
    }

    /// Reads a record; a version newer than ours, an unknown type or a missing place is an error.
    pub fn from_json(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// The JSON of an event that has no place yet: what the timeline's atomic step is given.
    pub fn json_without_place(event: &Event, trail: &Trail) -> String {
        serde_json::to_string(&Wire::of(event, None, Some(trail))).expect("an event has a JSON form")
    }

    /// Reads what [`Self::json_without_place`] wrote and gives it its place.
    pub fn placed(text: &[u8], cursor: Cursor) -> Result<Self, serde_json::Error> {
        let wire: WireOwned = serde_json::from_slice(text)?;
        wire.place(cursor).map_err(de::Error::custom)
    }
}

#[derive(Serialize)]
struct Wire<'a> {
    v: u32,
    r#type: Kind,
    id: EventId,
    room: &'a Room,
    sender: &'a Sender,
    key: &'a Key,
    digest: &'a str,
    at: Millis,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<Epoch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    body: &'a Body,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<EventId>,
    #[serde(skip_serializing_if = "Annotations::is_empty")]
    annotations: &'a Annotations,
    #[serde(skip_serializing_if = "Option::is_none")]
    trail: Option<&'a Trail>,
}

impl<'a> Wire<'a> {
    fn of(event: &'a Event, cursor: Option<Cursor>, trail: Option<&'a Trail>) -> Self {
        Self {
            v: RECORD_VERSION,
            r#type: event.kind,
            id: event.id,
            room: &event.room,
            sender: &event.sender,
            key: &event.key,
            digest: &event.digest,
            at: event.at,
            epoch: cursor.map(|c| c.epoch),
            offset: cursor.map(|c| c.offset),
            body: &event.body,
            target: event.target,
            thread: event.thread,
            annotations: &event.annotations,
            trail,
        }
    }
}

#[derive(Deserialize)]
struct WireOwned {
    v: u32,
    r#type: Kind,
    id: EventId,
    room: Room,
    sender: Sender,
    key: Key,
    #[serde(default)]
    digest: String,
    at: Millis,
    epoch: Option<Epoch>,
    offset: Option<u64>,
    body: Body,
    target: Option<EventId>,
    thread: Option<EventId>,
    #[serde(default)]
    annotations: Annotations,
    #[serde(default)]
    trail: Trail,
}

impl WireOwned {
    fn place(self, cursor: Cursor) -> Result<Record, String> {
        if self.v > RECORD_VERSION {
            return Err(format!("record has version {}, this program reads up to {RECORD_VERSION}", self.v));
        }
        let event = Event {
            kind: self.r#type,
            id: self.id,
            room: self.room,
            sender: self.sender,
            key: self.key,
            digest: self.digest,
            at: self.at,
            body: self.body,
            target: self.target,
            thread: self.thread,
            annotations: self.annotations,
        };
        Ok(Record { event, cursor, trail: self.trail })
    }
}

/// A record without its trail.
#[derive(Clone, Copy, Debug)]
pub struct PublicRecord<'a>(&'a Record);

impl Serialize for PublicRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire::of(&self.0.event, Some(self.0.cursor), None).serialize(serializer)
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire::of(&self.event, Some(self.cursor), Some(&self.trail)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = WireOwned::deserialize(deserializer)?;
        let (Some(epoch), Some(offset)) = (wire.epoch, wire.offset) else {
            return Err(de::Error::custom("record has no place: `epoch` or `offset` is missing"));
        };
        wire.place(Cursor { epoch, offset }).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UserId;

    fn record() -> Record {
        let event = Event {
            kind: Kind::Message,
            id: EventId::fresh(),
            room: Room::new("team:1").unwrap(),
            sender: Sender { user: UserId::new("ada").unwrap(), client: None, info: Some(Body::of(&"Ada")) },
            key: Key::new("k1").unwrap(),
            digest: "d".into(),
            at: 1_700_000_000_000,
            body: Body::parse(r#"{"text":"hi",  "n":1.0000000000000000001}"#).unwrap(),
            target: None,
            thread: None,
            annotations: Annotations::from([("p.x".into(), Body::of(&1))]),
        };
        Record { event, cursor: Cursor::new(3, 7), trail: Trail::default() }
    }

    #[test]
    fn a_record_survives_the_journal_byte_for_byte() {
        let record = record();
        let text = record.to_json();
        assert!(text.contains(r#""body":{"text":"hi",  "n":1.0000000000000000001}"#), "{text}");
        assert!(text.contains(r#""epoch":"0000000000000003","offset":7"#), "{text}");
        assert_eq!(Record::from_json(text.as_bytes()).unwrap(), record);
    }

    #[test]
    fn users_see_everything_of_a_record_but_its_trail() {
        let record = record();
        let text = serde_json::to_string(&record.public()).unwrap();
        assert!(!text.contains("trail") && record.to_json().contains("trail"), "{text}");
        let read = Record::from_json(text.as_bytes()).unwrap();
        assert_eq!(read, Record { trail: Trail::default(), ..record });
    }

    #[test]
    fn an_event_without_a_place_is_no_record_until_it_is_given_one() {
        let record = record();
        let text = Record::json_without_place(&record.event, &record.trail);
        assert!(Record::from_json(text.as_bytes()).is_err());
        assert_eq!(Record::placed(text.as_bytes(), record.cursor).unwrap(), record);
    }

    #[test]
    fn a_record_of_a_newer_version_is_not_guessed_at() {
        let text = record().to_json().replacen("\"v\":1", "\"v\":2", 1);
        assert!(Record::from_json(text.as_bytes()).unwrap_err().to_string().contains("version 2"));
    }
}
