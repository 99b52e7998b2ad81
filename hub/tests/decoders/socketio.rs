//! Packets of Socket.IO, and the attachments that follow them.

use crate::{damaged, frame, json};
use confab_hub::dialect::Dialect;
use confab_hub::dialect::socketio::{Assembler, Bounds, Kind, Mapping, Packet};
use confab_hub::outbox::Frame;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

const BOUNDS: Bounds = Bounds { attachments: 4, bytes: 256 };

/// Packets that a client may send.
fn packets() -> impl Strategy<Value = Packet> {
    let attachments = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..32), 0..=BOUNDS.attachments);
    let arguments = prop::collection::vec(json(), 0..4);
    let event = (".{0,12}", arguments, prop::option::of(any::<u64>()), attachments, any::<bool>());
    let event = event.prop_map(|(name, mut arguments, ack, attachments, answer)| {
        arguments.extend((0..attachments.len()).map(|num| json!({"_placeholder": true, "num": num})));
        let (kind, ack) = if answer { (Kind::Ack, Some(ack.unwrap_or(7))) } else { (Kind::Event, ack) };
        if !answer {
            arguments.insert(0, name.into());
        }
        let mut packet = Packet::new(kind, "/", ack, Value::from(arguments).to_string());
        packet.attachments = attachments.into_iter().map(Into::into).collect();
        packet
    });
    let connect = prop::option::of(prop::collection::btree_map("[a-z]{1,5}", json(), 0..3)).prop_map(|auth| {
        let auth = auth.map(|auth| auth.into_iter().collect::<serde_json::Map<_, _>>());
        Packet::new(Kind::Connect, "/", None, auth.map(|auth| Value::from(auth).to_string()).unwrap_or_default())
    });
    let packet = prop_oneof![6 => event, 1 => connect, 1 => Just(Packet::new(Kind::Disconnect, "/", None, ""))];
    (packet, "/[a-z0-9-]{0,8}").prop_map(|(packet, namespace)| Packet { namespace, ..packet })
}

fn text(packet: &Packet) -> String {
    match &packet.frames()[0] {
        Frame::Text(text) => text.to_string(),
        Frame::Binary(_) => unreachable!("a packet begins with text"),
    }
}

proptest! {
    #[test]
    fn packets_that_are_written_are_read_as_the_same(packets in prop::collection::vec(packets(), 1..6)) {
        let mut assembler = Assembler::new(BOUNDS);
        for packet in packets {
            let frames = packet.frames();
            let (last, first) = frames.split_last().unwrap();
            for frame in first {
                prop_assert_eq!(assembler.take(frame), Ok(None));
            }
            prop_assert_eq!(assembler.take(last), Ok(Some(packet)));
        }
    }

    #[test]
    fn any_frames_are_read_or_refused(
        frames in prop::collection::vec(
            prop_oneof![
                ".{0,60}".prop_map(String::into_bytes),
                "4[0-7]?[0-9]{0,3}-?(/[a-z,]{0,4})?,?[0-9]{0,22}[\\[{]?.{0,20}[\\]}]?".prop_map(String::into_bytes),
                damaged(packets().prop_map(|packet| text(&packet))),
                prop::collection::vec(any::<u8>(), 0..60),
            ],
            0..8,
        ),
    ) {
        let mut reader = Dialect::SocketIo.reader(256, Arc::new(Mapping::default()));
        for bytes in frames {
            match reader.decode(&frame(bytes)) {
                // A connect may be followed by one command for each mapped room, and there is none.
                Ok(commands) => prop_assert!(commands.len() <= 1, "{:?}", commands),
                Err(_) => break, // the session would end here
            }
        }
    }
}
