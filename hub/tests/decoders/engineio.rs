//! The payloads of polling.

use crate::damaged;
use confab_hub::outbox::Frame;
use confab_hub::session::engineio::{Packet, decode_payload, encode_payload};
use proptest::prelude::*;

/// Messages as the session sends them: text with its `4`, or bytes.
fn messages() -> impl Strategy<Value = Vec<Frame>> {
    let text = "[^\u{1e}]{0,40}".prop_map(|text| Frame::from(format!("4{text}")));
    let bytes = prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Frame::Binary(bytes.into()));
    prop::collection::vec(prop_oneof![text, bytes], 1..20)
}

proptest! {
    #[test]
    fn a_payload_that_is_written_is_read_as_the_same(frames in messages()) {
        let read = decode_payload(&encode_payload(&frames)).unwrap();
        prop_assert_eq!(read, frames.into_iter().map(Packet::Message).collect::<Vec<_>>());
    }

    #[test]
    fn any_payload_is_read_or_refused_and_holds_no_more_than_it_has(
        text in prop_oneof![".{0,200}", "[0-9b\u{1e}=A-Za-z+/]{0,200}"],
    ) {
        if let Ok(packets) = decode_payload(&text) {
            prop_assert_eq!(packets.len(), text.matches('\u{1e}').count() + 1);
            let held = |packet: &Packet| match packet {
                Packet::Message(frame) => frame.len(),
                _ => 0,
            };
            prop_assert!(packets.iter().map(held).sum::<usize>() <= text.len());
        }
    }

    #[test]
    fn a_damaged_payload_does_no_harm(bytes in damaged(messages().prop_map(|frames| encode_payload(&frames)))) {
        if let Ok(text) = String::from_utf8(bytes)
            && let Ok(packets) = decode_payload(&text)
        {
            prop_assert!(packets.len() <= text.len() + 1);
        }
    }
}
