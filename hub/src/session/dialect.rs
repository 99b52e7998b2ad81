//! The wire formats that a session can speak. A session knows none of them; it talks to this face.

use super::command::{Numbered, Reply};
use super::native::{self, Unsubscribed, json, protobuf};
use crate::outbox::Frame;
use confab_protocol::{Present, Record, Room};

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The Centrifugo client protocol, in JSON.
    NativeJson,
    /// The Centrifugo client protocol, in Protobuf.
    NativeProtobuf,
}

impl Dialect {
    /// How many there are.
    pub const COUNT: usize = 2;

    /// Its place among them.
    pub fn index(self) -> usize {
        self as usize
    }

    /// Reads the commands of one frame, in order.
    pub fn decode(self, frame: &Frame) -> Result<Vec<Numbered>, native::Malformed> {
        match (self, frame) {
            (Self::NativeJson, Frame::Text(text)) => json::decode(text),
            (Self::NativeJson, Frame::Binary(_)) => Err(native::Malformed::Binary),
            (Self::NativeProtobuf, Frame::Binary(bytes)) => protobuf::decode(bytes),
            (Self::NativeProtobuf, Frame::Text(_)) => Err(native::Malformed::Text),
        }
    }

    /// Writes the answer to a command.
    pub fn reply(self, number: u32, reply: &Reply) -> Frame {
        match self {
            Self::NativeJson => json::reply(number, reply),
            Self::NativeProtobuf => protobuf::reply(number, reply),
        }
    }

    /// Writes an event for listeners.
    pub fn publication(self, record: &Record) -> Frame {
        match self {
            Self::NativeJson => json::publication(record),
            Self::NativeProtobuf => protobuf::publication(record),
        }
    }

    /// Tells a listener that it no longer listens, and why.
    pub fn unsubscribed(self, room: &Room, why: Unsubscribed) -> Frame {
        match self {
            Self::NativeJson => json::unsubscribed(room, why),
            Self::NativeProtobuf => protobuf::unsubscribed(room, why),
        }
    }

    /// Tells a listener that another came (`here`) or went.
    pub fn presence(self, room: &Room, who: &Present, here: bool) -> Frame {
        match self {
            Self::NativeJson => json::presence(room, who, here),
            Self::NativeProtobuf => protobuf::presence(room, who, here),
        }
    }

    /// Asks whether the client is there.
    pub fn ping(self) -> Frame {
        match self {
            Self::NativeJson => json::ping(),
            Self::NativeProtobuf => protobuf::ping(),
        }
    }
}
