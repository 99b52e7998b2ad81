//! A pending record that this hub cannot read, such as one of a newer version: what must be known to journal it as it is.

use super::keys::Keys;
use confab_protocol::{Cursor, EventId, Key, Room, UserId};
use serde::Deserialize;

/// The record's text with its place, and where it belongs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) room: Room,
    pub(super) id: EventId,
    pub(super) text: String,
    sender: Option<UserId>,
    key: Option<Key>,
}

/// What every version of a record has.
#[derive(Deserialize)]
struct Known {
    room: Room,
    id: EventId,
    sender: Option<Sender>,
    key: Option<Key>,
}

#[derive(Deserialize)]
struct Sender {
    user: UserId,
}

impl Unread {
    /// Reads what can be read; `None` if it does not even say which event of which room it is.
    pub(super) fn of(text: &[u8], cursor: Cursor) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let Known { room, id, sender, key } = serde_json::from_str(text).ok()?;
        let members = text.trim_start().strip_prefix('{')?;
        let epoch = serde_json::to_string(&cursor.epoch).ok()?;
        // The place stands first, as whoever reads a broken record expects it.
        let text = format!("{{\"epoch\":{epoch},\"offset\":{},{members}", cursor.offset);
        Some(Self { room, id, text, sender: sender.map(|sender| sender.user), key })
    }

    /// The name of its dedupe entry, or of none, if it does not say whose key it has.
    pub(super) fn dedupe(&self, keys: &Keys) -> String {
        match (&self.sender, &self.key) {
            (Some(sender), Some(key)) => keys.dedupe(&self.room, sender, key),
            _ => keys.in_bucket(keys.bucket(&self.room), "key:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_a_newer_version_keeps_its_text_and_gets_its_place() {
        let id = EventId::fresh();
        let text = format!(
            r#"{{"v":9,"type":"hologram","id":"{id}","room":"lobby","sender":{{"user":"ada"}},"key":"k","x":1}}"#
        );
        let unread = Unread::of(text.as_bytes(), Cursor::new(3, 7)).unwrap();
        assert_eq!((unread.id, unread.room.as_str()), (id, "lobby"));
        let read: serde_json::Value = serde_json::from_str(&unread.text).unwrap();
        let place = serde_json::to_value(Cursor::new(3, 7).epoch).unwrap();
        assert_eq!((&read["epoch"], &read["offset"], &read["x"]), (&place, &7.into(), &1.into()));
        assert_eq!(Unread::of(b"no record", Cursor::new(3, 7)), None);
    }
}
