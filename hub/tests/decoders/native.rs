//! Commands of the native dialect, in JSON and in Protobuf: both say the same.

use crate::{damaged, frame};
use confab_hub::dialect::Dialect;
use confab_hub::dialect::command::Numbered;
use confab_hub::dialect::socketio::Mapping;
use confab_hub::outbox::Frame;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

/// A command in both encodings.
#[derive(Clone, Debug)]
struct Both {
    json: Value,
    protobuf: Vec<u8>,
}

/// A field whose bytes have their length in front.
fn bytes(number: u64, content: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

fn integer(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut written = Vec::new();
    while value >= 0x80 {
        written.push(value as u8 | 0x80);
        value >>= 7;
    }
    written.push(value as u8);
    written
}

/// `method` with arguments that have these names and field numbers.
fn command(id: u32, method: &str, number: u64, arguments: &[(&str, u64, Value)]) -> Both {
    let mut fields = Vec::new();
    for (_, number, value) in arguments {
        fields.extend(match value {
            Value::String(text) => bytes(*number, text.as_bytes()),
            Value::Bool(set) => integer(*number, u64::from(*set)),
            Value::Number(n) => integer(*number, n.as_u64().unwrap_or_else(|| n.as_i64().unwrap_or_default() as u64)),
            other => bytes(*number, other.to_string().as_bytes()), // a body: its JSON text
        });
    }
    let named: serde_json::Map<_, _> =
        arguments.iter().map(|(name, _, value)| ((*name).to_owned(), value.clone())).collect();
    let message = [integer(1, id.into()), bytes(number, &fields)].concat();
    Both { json: json!({"id": id, method: named}), protobuf: [varint(message.len() as u64), message].concat() }
}

fn commands() -> impl Strategy<Value = Both> {
    let id = 1..=u32::MAX;
    let body = || crate::json().prop_map(|value| json!([value])); // no text, which is not quoted above
    let name = "[^\u{0}]{1,20}";
    prop_oneof![
        (id.clone(), name, name).prop_map(|(id, token, _)| command(id, "connect", 4, &[("token", 1, token.into())])),
        (id.clone(), name, any::<(bool, bool, u64, u64, i64)>()).prop_map(
            |(id, room, (recover, join_leave, epoch, offset, flag))| {
                let arguments = [
                    ("channel", 1, room.into()),
                    ("recover", 3, recover.into()),
                    ("epoch", 6, epoch.to_string().into()),
                    ("offset", 7, offset.into()),
                    ("join_leave", 11, join_leave.into()),
                    ("flag", 14, flag.into()),
                ];
                command(id, "subscribe", 5, &arguments)
            }
        ),
        (id.clone(), name).prop_map(|(id, room)| command(id, "unsubscribe", 6, &[("channel", 1, room.into())])),
        (id.clone(), name, body()).prop_map(|(id, room, data)| command(
            id,
            "publish",
            7,
            &[("channel", 1, room.into()), ("data", 2, data)]
        )),
        (id.clone(), name).prop_map(|(id, room)| command(id, "presence", 8, &[("channel", 1, room.into())])),
        (id.clone(), name, any::<i32>(), any::<bool>()).prop_map(|(id, room, limit, reverse)| {
            command(
                id,
                "history",
                10,
                &[("channel", 1, room.into()), ("limit", 7, limit.into()), ("reverse", 9, reverse.into())],
            )
        }),
        (id.clone(), name, body()).prop_map(|(id, method, data)| command(
            id,
            "rpc",
            13,
            &[("data", 1, data), ("method", 2, method.into())]
        )),
        (id, name, name).prop_map(|(id, room, token)| command(
            id,
            "sub_refresh",
            15,
            &[("channel", 1, room.into()), ("token", 2, token.into())]
        )),
    ]
}

fn read(dialect: &Dialect, frame: &Frame) -> Option<Vec<Numbered>> {
    dialect.reader(1024, Arc::new(Mapping::default())).decode(frame).ok()
}

proptest! {
    #[test]
    fn both_encodings_say_the_same(commands in prop::collection::vec(commands(), 1..5)) {
        let lines: Vec<_> = commands.iter().map(|both| both.json.to_string()).collect();
        let in_json = read(&Dialect::NativeJson, &lines.join("\n").into());
        let message = commands.iter().flat_map(|both| both.protobuf.clone()).collect::<Vec<_>>();
        let in_protobuf = read(&Dialect::NativeProtobuf, &Frame::Binary(message.into()));
        prop_assert_eq!(in_json.as_ref().map(Vec::len), Some(commands.len()));
        prop_assert_eq!(in_json, in_protobuf);
    }

    #[test]
    fn any_frame_is_read_or_refused_and_holds_no_more_commands_than_bytes(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..100),
            ".{0,60}".prop_map(String::into_bytes),
            damaged(commands().prop_map(|both| both.json.to_string())),
            prop::collection::vec(prop::sample::select(&b"\x00\x01\x02\x08\x0a\x12\x22\x2a\x3a\xff"[..]), 0..60),
        ],
    ) {
        for dialect in [Dialect::NativeJson, Dialect::NativeProtobuf] {
            for frame in [frame(bytes.clone()), Frame::Binary(bytes.clone().into())] {
                let commands = read(&dialect, &frame).map_or(0, |commands| commands.len());
                prop_assert!(commands <= bytes.len());
            }
        }
    }

    #[test]
    fn a_damaged_protobuf_command_does_no_harm(
        both in commands(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut bytes = both.protobuf;
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        let length = bytes.len();
        let commands = read(&Dialect::NativeProtobuf, &Frame::Binary(bytes.into()));
        prop_assert!(commands.map_or(0, |commands| commands.len()) <= length);
    }
}

/// Whatever writes a member out as `null` where it has nothing to say.
#[test]
fn a_member_that_is_null_is_as_if_it_were_not_there() {
    let read = |method: &str, arguments: Value| {
        let frame = Frame::from(json!({"id": 1, method: arguments}).to_string());
        read(&Dialect::NativeJson, &frame).unwrap_or_else(|| panic!("{frame:?}"))
    };
    for (method, members) in [
        ("connect", "token data subs name version"),
        ("subscribe", "channel token recover epoch offset flag type join_leave data positioned recoverable delta"),
        ("unsubscribe", "channel"),
        ("publish", "channel data type"),
        ("rpc", "method data"),
        ("history", "channel limit since reverse"),
        ("presence", "channel"),
        ("presence_stats", "channel"),
        ("refresh", "token"),
        ("sub_refresh", "channel token"),
    ] {
        let nulls: serde_json::Map<String, Value> =
            members.split(' ').map(|member| (member.to_owned(), Value::Null)).collect();
        assert_eq!(read(method, nulls.into()), read(method, json!({})), "{method}");
    }
    let empty = json!({"channel": "a", "since": {"offset": null, "epoch": null}});
    assert_eq!(read("history", empty), read("history", json!({"channel": "a", "since": {}})));
    assert_eq!(read("connect", json!({"subs": {"a": null}})), read("connect", json!({})));
}
