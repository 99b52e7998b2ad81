//! The wire formats that a session can speak. A session knows none of them; it talks to this face.

pub mod command;
mod native;
pub mod socketio;

pub use native::{SUBPROTOCOL_JSON, SUBPROTOCOL_PROTOBUF, Unsubscribed};

use crate::outbox::Frame;
use command::{Numbered, Reply};
use confab_protocol::{Close, Key, Record, Refusal, Room, Signal};
use native::{json, protobuf};
use std::sync::Arc;

/// A wire format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The Centrifugo client protocol, in JSON.
    NativeJson,
    /// The Centrifugo client protocol, in Protobuf.
    NativeProtobuf,
    /// Socket.IO v5, in Engine.IO messages.
    SocketIo,
    /// Socket.IO for rooms whose events the settings map.
    SocketIoMapped(Arc<socketio::Mapping>),
}

/// What a client that has no words for it is told.
fn nothing() -> Frame {
    Frame::Text(Default::default())
}

impl Dialect {
    /// How many there are.
    pub const COUNT: usize = 4;

    /// Its place among them.
    pub fn index(&self) -> usize {
        match self {
            Self::NativeJson => 0,
            Self::NativeProtobuf => 1,
            Self::SocketIo => 2,
            Self::SocketIoMapped(_) => 3,
        }
    }

    /// Reads one session's frames, of which the largest may have `frame_max` bytes.
    pub fn reader(&self, frame_max: usize, mapping: Arc<socketio::Mapping>) -> Reader {
        match self {
            Self::NativeJson => Reader::NativeJson,
            Self::NativeProtobuf => Reader::NativeProtobuf,
            Self::SocketIo | Self::SocketIoMapped(_) => Reader::SocketIo(socketio::Reader::new(frame_max, mapping)),
        }
    }

    /// Writes the answer to a command.
    pub fn reply(&self, number: u32, reply: &Reply) -> Frame {
        match self {
            Self::NativeJson => json::reply(number, reply),
            Self::NativeProtobuf => protobuf::reply(number, reply),
            Self::SocketIo => socketio::reply(number, reply),
            Self::SocketIoMapped(_) => nothing(), // its joins are not asked for
        }
    }

    /// Tells the client that an event of its own, which the settings map, was refused; empty if it has no words for that.
    pub fn refused(&self, event: &str, key: Option<&Key>, refusal: &Refusal) -> Frame {
        match self {
            Self::SocketIo => socketio::refused(event, key, refusal),
            Self::NativeJson | Self::NativeProtobuf | Self::SocketIoMapped(_) => nothing(),
        }
    }

    /// Writes an event for listeners.
    pub fn publication(&self, record: &Record) -> Frame {
        match self {
            Self::NativeJson => json::publication(record),
            Self::NativeProtobuf => protobuf::publication(record),
            Self::SocketIo => socketio::publication(record),
            Self::SocketIoMapped(mapping) => mapping.outward(record),
        }
    }

    /// Tells a listener that it no longer listens, and why; empty if it would not understand, and has to come back.
    pub fn unsubscribed(&self, room: &Room, why: Unsubscribed) -> Frame {
        match self {
            Self::NativeJson => json::unsubscribed(room, why),
            Self::NativeProtobuf => protobuf::unsubscribed(room, why),
            Self::SocketIo => socketio::unsubscribed(room, why),
            Self::SocketIoMapped(_) => nothing(),
        }
    }

    /// Writes a signal for those whom it is for; empty if they have no words for that.
    pub fn signal(&self, signal: &Signal) -> Frame {
        match self {
            Self::NativeJson => json::signal(signal),
            Self::NativeProtobuf => protobuf::signal(signal),
            Self::SocketIo => socketio::signal(signal),
            Self::SocketIoMapped(_) => nothing(),
        }
    }

    /// Asks whether the client is there; `None` where the link does that by itself.
    pub fn ping(&self) -> Option<Frame> {
        match self {
            Self::NativeJson => Some(json::ping()),
            Self::NativeProtobuf => Some(protobuf::ping()),
            Self::SocketIo | Self::SocketIoMapped(_) => None,
        }
    }

    /// What the client is told before the link is closed, besides what the link says by itself.
    pub fn close_frames(&self, close: Close, connected: bool) -> Vec<Frame> {
        match self {
            Self::NativeJson | Self::NativeProtobuf => Vec::new(),
            Self::SocketIo | Self::SocketIoMapped(_) => socketio::close_frames(close, connected),
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
    /// The frame holds more commands than may be.
    #[error("frame has too many commands")]
    TooMany,
}

/// Reads one session's frames: a packet of some wire formats spans several.
#[derive(Debug)]
pub enum Reader {
    /// The native dialect in JSON, where each frame stands for itself.
    NativeJson,
    /// The native dialect in Protobuf, where each frame stands for itself.
    NativeProtobuf,
    /// Socket.IO.
    SocketIo(socketio::Reader),
}

impl Reader {
    /// The commands of one frame, at most `commands_max`, each read when it is its turn.
    pub fn commands(&mut self, frame: &Frame, commands_max: usize) -> Result<Commands, Malformed> {
        let source = match (self, frame) {
            (Self::NativeJson, Frame::Text(text)) => Source::NativeJson(json::Commands::of(text.clone())),
            (Self::NativeJson, Frame::Binary(_)) => return Err(native::Malformed::Binary.into()),
            (Self::NativeProtobuf, Frame::Binary(bytes)) => {
                Source::NativeProtobuf(protobuf::Commands::of(bytes.clone())?)
            }
            (Self::NativeProtobuf, Frame::Text(_)) => return Err(native::Malformed::Text.into()),
            (Self::SocketIo(reader), frame) => Source::SocketIo(reader.read(frame)?.into_iter()),
        };
        Ok(Commands { source, left: commands_max })
    }

    /// Reads all commands of one frame, in order.
    pub fn decode(&mut self, frame: &Frame) -> Result<Vec<Numbered>, Malformed> {
        self.commands(frame, usize::MAX)?.collect()
    }
}

/// The commands of one frame. Nothing comes after an error.
#[derive(Debug)]
pub struct Commands {
    source: Source,
    left: usize,
}

#[derive(Debug)]
enum Source {
    NativeJson(json::Commands),
    NativeProtobuf(protobuf::Commands),
    SocketIo(std::vec::IntoIter<Numbered>),
}

impl Iterator for Commands {
    type Item = Result<Numbered, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let command = match &mut self.source {
            Source::NativeJson(commands) => commands.next()?.map_err(Malformed::from),
            Source::NativeProtobuf(commands) => commands.next()?.map_err(Malformed::from),
            Source::SocketIo(commands) => Ok(commands.next()?),
        };
        Some(match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                command
            }
            None => Err(Malformed::TooMany),
        })
    }
}
