//! Every decoder of bytes from outside as a target for a fuzzer: whatever the bytes are, reading them ends, and what was
//! made of them holds. `fuzz/` feeds them what a fuzzer finds; `corpus.rs` what is kept of it.

use confab_hub::auth::{Auth, Keys, Rules};
use confab_hub::dialect::Dialect;
use confab_hub::dialect::socketio::{Assembler, Bounds, Mapping};
use confab_hub::outbox::Frame;
use confab_hub::session::engineio::{Packet as Carried, decode_payload, encode_payload};
use confab_protocol::{Cursor, Record};
use std::sync::Arc;

/// A decoder.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Target); 10] = [
    ("native_json", native_json),
    ("native_protobuf", native_protobuf),
    ("engineio", engineio),
    ("socketio", socketio),
    ("token", token),
    ("settings", settings),
    ("record", record),
    ("body", body),
    ("verdict", verdict),
    ("component", component),
];

/// Frames of a client that speaks JSON.
pub fn native_json(bytes: &[u8]) {
    native(&Dialect::NativeJson, bytes);
}

/// Frames of a client that speaks Protobuf.
pub fn native_protobuf(bytes: &[u8]) {
    native(&Dialect::NativeProtobuf, bytes);
}

fn native(dialect: &Dialect, bytes: &[u8]) {
    for frame in frames(bytes) {
        let mut reader = dialect.reader(64, Arc::new(Mapping::default()));
        if let Ok(commands) = reader.decode(&frame) {
            assert!(commands.len() <= bytes.len(), "{} commands in {} bytes", commands.len(), bytes.len());
        }
    }
}

/// The bytes as a frame of bytes and, where they are text, as one of text.
fn frames(bytes: &[u8]) -> impl Iterator<Item = Frame> {
    let text = std::str::from_utf8(bytes).ok().map(|text| Frame::from(text.to_owned()));
    text.into_iter().chain([Frame::Binary(bytes.to_vec().into())])
}

/// What a polling client posts.
pub fn engineio(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(packets) = decode_payload(text) else { return };
    let messages: Vec<Frame> = packets
        .into_iter()
        .filter_map(|packet| match packet {
            Carried::Message(frame) => Some(frame),
            _ => None,
        })
        .collect();
    if !messages.is_empty() {
        let again = decode_payload(&encode_payload(&messages)).expect("what was written can be read");
        assert_eq!(again, messages.into_iter().map(Carried::Message).collect::<Vec<_>>());
    }
}

/// Packets of Socket.IO with their attachments: a line each. One that begins with `!` goes as bytes.
pub fn socketio(bytes: &[u8]) {
    let mut assembler = Assembler::new(Bounds { attachments: 4, bytes: 256 });
    let mut reader = Dialect::SocketIo.reader(256, Arc::new(Mapping::default()));
    let (mut assembles, mut reads) = (true, true);
    for line in bytes.split(|byte| *byte == b'\n') {
        let frame = match (line.strip_prefix(b"!"), std::str::from_utf8(line)) {
            (Some(attachment), _) => Frame::Binary(attachment.to_vec().into()),
            (None, Ok(text)) => Frame::from(text.to_owned()),
            (None, Err(_)) => Frame::Binary(line.to_vec().into()),
        };
        if assembles {
            match assembler.take(&frame) {
                Ok(Some(packet)) => {
                    let mut again = Assembler::new(Bounds { attachments: 4, bytes: 256 });
                    let mut taken = Ok(None);
                    for frame in packet.frames() {
                        taken = again.take(&frame);
                    }
                    assert_eq!(taken, Ok(Some(packet)), "what was written is read as the same");
                }
                Ok(None) => {}
                Err(_) => assembles = false,
            }
        }
        reads = reads && reader.decode(&frame).is_ok();
    }
}

/// Tokens: nobody has signed these.
pub fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let fixed = vec![Keys::secret(b"a secret that no fuzzer knows, and long enough")];
    let auth = Auth::new(Keys { fixed, published: None }, Rules { anonymous: true, ..Rules::default() });
    assert!(auth.verify(text, "session").is_err(), "nobody is let in by {text:?}");
}

/// hub.toml: read, checked, and every mistake shown.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match confab_config::load_text("hub.toml", text) {
        Ok(loaded) => drop(loaded.config.validate()),
        Err(found) => assert!(!found.render(false).is_empty(), "a refusal says why"),
    }
}

/// Records of the journal and of the timeline.
pub fn record(bytes: &[u8]) {
    if let Ok(record) = Record::from_json(bytes) {
        assert_eq!(Record::from_json(record.to_json().as_bytes()).expect("it was written"), record);
    }
    let cursor = Cursor::new(7, 11);
    if let Ok(record) = Record::placed(bytes, cursor) {
        let without = Record::json_without_place(&record.event, &record.trail);
        assert_eq!(Record::placed(without.as_bytes(), cursor).expect("it was written"), record);
    }
}

/// A message's body at the door.
pub fn body(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(body) = confab_protocol::Body::parse(text.to_owned()) else { return };
    if confab_hub::publish::check_json(&body, 32).is_ok() {
        let _ = body.text();
        let value: serde_json::Value = serde_json::from_str(body.as_str()).expect("what is let in is JSON");
        assert!(!holds_nul(&value), "no store can hold it");
    }
}

/// Whether the character NUL is in it; a backslash before `u0000` is something else.
fn holds_nul(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains('\0'),
        serde_json::Value::Array(values) => values.iter().any(holds_nul),
        serde_json::Value::Object(members) => members.iter().any(|(key, value)| key.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

/// What a plugin says.
pub fn verdict(bytes: &[u8]) {
    confab_hub::plugin::hear_verdict(bytes, &|body| confab_hub::publish::check_json(body, 32));
}

/// A plugin's file.
pub fn component(bytes: &[u8]) {
    let _ = confab_plugin_kit::embed::read(bytes);
    let _ = confab_plugin_kit::component::face(bytes);
}
