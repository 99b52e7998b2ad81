//! What can still be read of a broken record: the members that stand before the break.
//!
//! Records write their place before their body, so a value that was cut off, or whose body is broken, still tells it.

use confab_protocol::{Epoch, EventId, Room};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// The members of a record that say where it belongs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// The room.
    pub room: Option<Room>,
    /// The event.
    pub id: Option<EventId>,
    /// The epoch.
    pub epoch: Option<Epoch>,
    /// The place in it.
    pub offset: Option<u64>,
}

/// Reads a value as far as it is JSON.
pub fn salvage(value: &[u8]) -> Salvaged {
    let mut salvaged = Salvaged::default();
    // The error is known already, and is why we are here.
    let _ = Members(&mut salvaged).deserialize(&mut serde_json::Deserializer::from_slice(value));
    salvaged
}

struct Members<'a>(&'a mut Salvaged);

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            match name.as_str() {
                "room" => self.0.room = Some(members.next_value()?),
                "id" => self.0.id = Some(members.next_value()?),
                "epoch" => self.0.epoch = Some(members.next_value()?),
                "offset" => self.0.offset = Some(members.next_value()?),
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

    #[test]
    fn what_stands_before_the_break_is_known() {
        let whole = format!(r#"{{"v":9,"id":"{ID}","room":"team:1","epoch":"0000000000000003","offset":7,"body":{{"#);
        let salvaged = salvage(whole.as_bytes());
        assert_eq!(salvaged.room, Some(Room::new("team:1").unwrap()));
        assert_eq!(salvaged.id, Some(ID.parse().unwrap()));
        assert_eq!((salvaged.epoch, salvaged.offset), (Some(Epoch(3)), Some(7)));
        assert_eq!(salvage(&whole.as_bytes()[..40]).room, None);
    }

    #[test]
    fn nonsense_tells_nothing() {
        for value in [&b"{ not json"[..], b"", b"[1]", b"\xff\xfe", br#"{"room":"","offset":-1}"#] {
            assert_eq!(salvage(value), Salvaged::default());
        }
    }
}
