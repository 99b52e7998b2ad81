//! What comes from outside, read: whatever the bytes are, reading them ends, gives no more than they hold, and what is
//! written is read as the same.

mod corpus;
mod engineio;
mod fuzzed;
mod native;
mod record;
mod socketio;
mod token;

use confab_hub::outbox::Frame;
use proptest::prelude::*;

/// JSON of any shape, of a few levels.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (-1e9..1e9f64).prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(".{0,8}", inner, 0..6)
                .prop_map(|fields| fields.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

/// Good text with one thing wrong with it: cut, or a byte changed, put in or taken out. It may be good still.
fn damaged(good: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    (good, any::<prop::sample::Index>(), 0..4u8, any::<u8>()).prop_map(|(good, at, how, byte)| {
        let mut bytes = good.into_bytes();
        let at = at.index(bytes.len() + 1);
        match how {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, byte),
            _ if at == bytes.len() => {}
            2 => bytes[at] = byte,
            _ => drop(bytes.remove(at)),
        }
        bytes
    })
}

/// A frame of text or bytes.
fn frame(bytes: Vec<u8>) -> Frame {
    match String::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(error) => Frame::Binary(error.into_bytes().into()),
    }
}
