//! The wire formats that a session can speak. A session knows none of them; it talks to this face.

use super::command::{Numbered, Reply};
use super::{native, socketio};
use crate::outbox::Frame;
use confab_protocol::{Close, Record, Room};

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The Centrifugo client protocol, in JSON.
    NativeJson,
    /// Socket.IO v5, in Engine.IO messages.
    SocketIo,
    /// Socket.IO for rooms whose events the settings map.
    SocketIoMapped(&'static socketio::Mapping),
}

impl Dialect {
    /// How many there are.
    pub const COUNT: usize = 3;

    /// Its place among them.
    pub fn index(self) -> usize {
        match self {
            Self::NativeJson => 0,
            Self::SocketIo => 1,
            Self::SocketIoMapped(_) => 2,
        }
    }

    /// Reads one session's frames, of which the largest may have `frame_max` bytes.
    pub fn reader(self, frame_max: usize, mapping: &'static socketio::Mapping) -> Reader {
        match self {
            Self::NativeJson => Reader::NativeJson,
            Self::SocketIo | Self::SocketIoMapped(_) => Reader::SocketIo(socketio::Reader::new(frame_max, mapping)),
        }
    }

    /// Writes the answer to a command.
    pub fn reply(self, number: u32, reply: &Reply) -> Frame {
        match self {
            Self::NativeJson => native::reply(number, reply),
            Self::SocketIo => socketio::reply(number, reply),
            Self::SocketIoMapped(_) => Frame::Text(Default::default()), // its joins are not asked for
        }
    }

    /// Writes an event for listeners.
    pub fn publication(self, record: &Record) -> Frame {
        match self {
            Self::NativeJson => native::publication(record),
            Self::SocketIo => socketio::publication(record),
            Self::SocketIoMapped(mapping) => mapping.outward(record),
        }
    }

    /// Tells a listener to join again; empty if it would not understand, and has to come back.
    pub fn unsubscribed(self, room: &Room) -> Frame {
        match self {
            Self::NativeJson => native::unsubscribed(room),
            Self::SocketIo => socketio::unsubscribed(room),
            Self::SocketIoMapped(_) => Frame::Text(Default::default()),
        }
    }

    /// Asks whether the client is there; `None` where the link does that by itself.
    pub fn ping(self) -> Option<Frame> {
        match self {
            Self::NativeJson => Some(native::ping()),
            Self::SocketIo | Self::SocketIoMapped(_) => None,
        }
    }

    /// What the client is told before the link is closed, besides what the link says by itself.
    pub fn farewell(self, close: Close, connected: bool) -> Vec<Frame> {
        match self {
            Self::NativeJson => Vec::new(),
            Self::SocketIo | Self::SocketIoMapped(_) => socketio::farewell(close, connected),
        }
    }
}

/// The frame does not follow its wire format.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// The native one.
    #[error(transparent)]
    Native(#[from] native::Malformed),
    /// Socket.IO.
    #[error(transparent)]
    SocketIo(#[from] socketio::Malformed),
}

/// Reads one session's frames: a packet of some wire formats spans several.
#[derive(Debug)]
pub enum Reader {
    /// The native dialect, where each frame stands for itself.
    NativeJson,
    /// Socket.IO.
    SocketIo(socketio::Reader),
}

impl Reader {
    /// Reads the commands of one frame, in order.
    pub fn decode(&mut self, frame: &Frame) -> Result<Vec<Numbered>, Malformed> {
        Ok(match (self, frame) {
            (Self::NativeJson, Frame::Text(text)) => native::decode(text)?,
            (Self::NativeJson, Frame::Binary(_)) => return Err(native::Malformed::Binary.into()),
            (Self::SocketIo(reader), frame) => reader.read(frame)?,
        })
    }
}
