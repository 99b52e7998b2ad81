//! The Protobuf encoding against bytes written by hand from the protocol's public definitions.

use super::*;
use crate::dialect::command::{Since, Wish};
use confab_protocol::{Annotations, Cursor, Epoch, Event, EventId, Key, Kind, Refusal, Trail, UserId};

/// A field of a message: its number, and its bytes with their length in front.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, content.len() as u8], content].concat()
}

fn number(of: u8, value: u8) -> Vec<u8> {
    vec![of << 3, value]
}

/// A message with its length in front.
fn delimited(message: &[Vec<u8>]) -> Vec<u8> {
    let message = message.concat();
    [&[message.len() as u8][..], &message].concat()
}

fn decode(frame: Bytes) -> Result<Vec<Numbered>, Malformed> {
    Commands::of(frame)?.collect()
}

fn read(bytes: Vec<u8>) -> Vec<Numbered> {
    decode(bytes.into()).unwrap()
}

fn one(message: &[Vec<u8>]) -> Command {
    let [Numbered { command, .. }] = read(delimited(message)).try_into().unwrap();
    command
}

#[test]
fn commands_are_read_from_the_places_that_the_protocol_gives_them() {
    let connect = field(4, &[field(1, b"token"), field(2, br#"{"user":"ada"}"#)].concat());
    assert_eq!(
        read(delimited(&[number(1, 7), connect])),
        [Numbered {
            number: Some(7),
            command: Command::Connect {
                token: "token".into(),
                data: Some(Body::parse(r#"{"user":"ada"}"#).unwrap()),
                subs: Vec::new(),
            },
        }]
    );
    let subscribe =
        [field(1, b"lobby"), number(3, 1), field(6, b"12"), number(7, 9), number(11, 1), number(14, 3)].concat();
    let since = Since { epoch: Some(Epoch(12)), offset: 9 };
    let wish = Wish { since: Some(since), all_or_nothing: true, token: String::new(), join_leave: true };
    assert_eq!(one(&[number(1, 2), field(5, &subscribe)]), Command::Subscribe { room: "lobby".into(), wish });
    let history =
        [field(1, b"lobby"), number(7, 10), field(8, &[number(1, 9), field(2, b"12")].concat()), number(9, 1)];
    assert_eq!(
        one(&[number(1, 3), field(10, &history.concat())]),
        Command::History { room: "lobby".into(), since: Some(since), reverse: true, limit: 10 }
    );
    let rpc = [field(1, b"{}"), field(2, b"send")].concat();
    let data = Some(Body::parse("{}").unwrap());
    assert_eq!(one(&[number(1, 4), field(13, &rpc)]), Command::Rpc { method: "send".into(), data });
    for (place, command) in [
        (6, Command::Unsubscribe { room: "x".into() }),
        (8, Command::Presence { room: "x".into() }),
        (9, Command::PresenceStats { room: "x".into() }),
        (14, Command::Refresh { token: "x".into() }),
    ] {
        assert_eq!(one(&[number(1, 5), field(place, &field(1, b"x"))]), command);
    }
}

#[test]
fn several_commands_share_a_frame_and_an_empty_one_is_a_pong() {
    let unsubscribe = delimited(&[number(1, 1), field(6, &field(1, b"a"))]);
    let send = delimited(&[field(12, &field(1, b"x"))]);
    let read = read([unsubscribe, vec![0], send].concat());
    let numbers: Vec<_> = read.iter().map(|numbered| numbered.number).collect();
    assert_eq!(numbers, [Some(1), None, None]);
    assert_eq!(read[1].command, Command::Pong);
    assert_eq!(read[2].command, Command::Send);
}

#[test]
fn what_is_no_command_is_malformed_and_data_that_is_no_json_is_told_so() {
    let publish = |data: &[u8]| one(&[number(1, 1), field(7, &[field(1, b"lobby"), field(2, data)].concat())]);
    assert_eq!(publish(b"{\"a\":"), Command::NotJson);
    assert_eq!(publish(b"\xff\xfe"), Command::NotJson);
    assert_eq!(publish(b"1"), Command::Publish { room: "lobby".into(), data: Body::parse("1").unwrap() });
    assert_eq!(one(&[number(1, 1), field(15, &[])]), Command::SubRefresh { room: String::new(), token: String::new() });
    assert_eq!(one(&[number(1, 1)]), Command::Unknown);
    let two = delimited(&[number(1, 1), field(6, b""), field(8, b"")]);
    let epoch = [field(1, b"lobby"), number(3, 1), field(6, &[b'9'; 65])].concat();
    for (bytes, what) in [
        (vec![], "an empty frame"),
        (vec![5, 1], "cut short"),
        (vec![255; 12], "a length without end"),
        (delimited(&[field(6, &field(1, b"a"))]), "no number"),
        (two, "two methods"),
        (delimited(&[number(1, 1), field(5, &epoch)]), "an epoch of 65 bytes"),
        (delimited(&[number(1, 1), field(6, &field(1, b"\xff"))]), "a room that is no text"),
    ] {
        assert!(decode(bytes.into()).is_err(), "{what}");
    }
}

#[test]
fn replies_stand_in_the_places_that_the_protocol_gives_them() {
    let binary = |frame: Frame| match frame {
        Frame::Binary(bytes) => bytes.to_vec(),
        Frame::Text(text) => panic!("text: {text}"),
    };
    assert_eq!(binary(ping()), [0]);
    assert_eq!(binary(reply(1, &Reply::Empty(Done::Publish))), delimited(&[number(1, 1), field(8, b"")]));
    let refused = [number(1, 111), field(2, b"too many requests: try again in 5 ms"), number(3, 1)].concat();
    assert_eq!(
        binary(reply(2, &Reply::Refused(Refusal::TooManyRequests { retry_after_ms: 5 }))),
        delimited(&[number(1, 2), field(2, &refused)])
    );
    assert_eq!(
        binary(reply(3, &Reply::Rpc(Body::parse("[1]").unwrap()))),
        delimited(&[number(1, 3), field(13, &field(1, b"[1]"))])
    );
    let stats = [number(1, 3), number(2, 2)].concat();
    assert_eq!(
        binary(reply(4, &Reply::PresenceStats { clients: 3, users: 2 })),
        delimited(&[number(1, 4), field(10, &stats)])
    );
    let room = Room::new("lobby").unwrap();
    let why = [vec![2 << 3, 0xC4, 0x13], field(3, b"insufficient state")].concat();
    assert_eq!(
        binary(unsubscribed(&room, Unsubscribed::InsufficientState)),
        delimited(&[field(4, &[field(2, b"lobby"), field(7, &why)].concat())])
    );
    let ada = Present { user: UserId::new("ada").unwrap(), client: "c".into(), info: None };
    let info = field(1, &[field(1, b"ada"), field(2, b"c")].concat());
    assert_eq!(
        binary(signal(&Signal::to_room(room, PresenceChange { who: ada, here: false }))),
        delimited(&[field(4, &[field(2, b"lobby"), field(6, &info)].concat())])
    );
}

#[test]
fn a_publication_carries_the_body_byte_for_byte_and_what_the_hub_says_beside_it() {
    let text = r#"{"text":"hi",  "n":1.0000000000000000001}"#;
    let event = Event {
        kind: Kind::Message,
        id: EventId::fresh(),
        room: Room::new("lobby").unwrap(),
        sender: Sender { user: UserId::new("ada").unwrap(), client: None, info: Some(Body::of(&"Ada")) },
        key: Key::new("k").unwrap(),
        digest: "d".into(),
        at: 1_700_000_000_000,
        body: Body::parse(text).unwrap(),
        target: None,
        thread: None,
        annotations: Annotations::new(),
    };
    let record = Record { event, cursor: Cursor::new(3, 7), trail: Trail::default() };
    let Frame::Binary(bytes) = publication(&record) else { panic!("text") };
    let push = wire::Reply::decode_length_delimited(bytes).unwrap().push.unwrap();
    assert_eq!(push.channel, "lobby");
    let publication = push.publication.unwrap();
    assert_eq!(publication.data, text);
    assert_eq!((publication.offset, publication.time), (7, 1_700_000_000_000));
    assert_eq!(publication.tags["type"], "message");
    assert_eq!(publication.tags["epoch"], "0000000000000003");
    let info = publication.info.unwrap();
    assert_eq!((info.user.as_str(), &info.conn_info[..]), ("ada", &br#""Ada""#[..]));
}
