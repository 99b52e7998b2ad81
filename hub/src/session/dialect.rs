//! The wire formats that a session can speak. A session knows none of them; it talks to this face.

use super::command::{Numbered, Reply};
use super::native;
use crate::outbox::Frame;
use confab_protocol::{Record, Room};

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The Centrifugo client protocol, in JSON.
    NativeJson,
}

impl Dialect {
    /// How many there are.
    pub const COUNT: usize = 1;

    /// Its place among them.
    pub fn index(self) -> usize {
        self as usize
    }

    /// Reads the commands of one frame, in order.
    pub fn decode(self, frame: &Frame) -> Result<Vec<Numbered>, native::Malformed> {
        match (self, frame) {
            (Self::NativeJson, Frame::Text(text)) => native::decode(text),
            (Self::NativeJson, Frame::Binary(_)) => Err(native::Malformed::Binary),
        }
    }

    /// Writes the answer to a command.
    pub fn reply(self, number: u32, reply: &Reply) -> Frame {
        match self {
            Self::NativeJson => native::reply(number, reply),
        }
    }

    /// Writes an event for listeners.
    pub fn publication(self, record: &Record) -> Frame {
        match self {
            Self::NativeJson => native::publication(record),
        }
    }

    /// Tells a listener to join again.
    pub fn unsubscribed(self, room: &Room) -> Frame {
        match self {
            Self::NativeJson => native::unsubscribed(room),
        }
    }

    /// Asks whether the client is there.
    pub fn ping(self) -> Frame {
        match self {
            Self::NativeJson => native::ping(),
        }
    }
}
