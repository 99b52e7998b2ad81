//! The native dialect: the Centrifugo client protocol, in JSON and in Protobuf.
//!
//! A publication is the event in the protocol's own places: `data` is the body exactly as judged and nothing is ever
//! added to it; what the hub says of it stands in `info`, `time`, `offset` and `tags`. Both encodings say the same;
//! what they share is here.

pub mod json;
pub mod protobuf;
mod wire;

use super::command::{Command, Joined, Recovery, Since, Wish};
use confab_protocol::refusal::Oldest;
use confab_protocol::{Annotations, Body, Record, Refusal};
use std::collections::BTreeMap;

/// The subprotocol of the JSON encoding.
pub const SUBPROTOCOL_JSON: &str = "centrifuge-json";
/// The subprotocol of the Protobuf encoding.
pub const SUBPROTOCOL_PROTOBUF: &str = "centrifuge-protobuf";

/// What the hub calls itself in its first reply.
const VERSION: &str = concat!("confab ", env!("CARGO_PKG_VERSION"));

/// The frame does not follow the protocol.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// It is no JSON, or not of the shape of a command.
    #[error("command is malformed")]
    Json(#[from] serde_json::Error),
    /// It is no Protobuf, or not of the shape of a command.
    #[error("command is malformed")]
    Protobuf(#[from] prost::DecodeError),
    /// It has not exactly one method.
    #[error("command has {0} methods")]
    Methods(usize),
    /// It expects an answer but has no number.
    #[error("command has no id")]
    NoNumber,
    /// It is binary, and this encoding is text.
    #[error("frame is binary")]
    Binary,
    /// It is text, and this encoding is binary.
    #[error("frame is text")]
    Text,
    /// It holds nothing, not even an empty command.
    #[error("frame is empty")]
    Empty,
    /// A place in it is none.
    #[error("command has a malformed epoch")]
    Epoch,
}

/// The command, if it is about a stream (type 0): maps and shared polls, the other types, are not served.
fn of_stream(kind: i32, command: Command) -> Command {
    if kind == 0 { command } else { Command::Unavailable }
}

/// The bit of a subscribe's `flag` that asks for a refusal (112) instead of `recovered: false`. The other bits offer what
/// is not served, and a client is served without.
const REJECT_UNRECOVERED: i64 = 2;

/// How a client wants to listen, from what stands in its subscribe command.
fn wish(since: Option<Since>, flag: i64, token: String, join_leave: bool) -> Wish {
    Wish { since, all_or_nothing: flag & REJECT_UNRECOVERED != 0, token, join_leave }
}

/// An epoch that is no number of ours (a client that comes from another server) is an epoch nobody has: 0.
fn since(epoch: &str, offset: u64) -> Result<Since, Malformed> {
    let epoch = match epoch {
        "" => None,
        text if text.len() > 64 => return Err(Malformed::Epoch),
        text => Some(text.parse().unwrap_or_default()),
    };
    Ok(Since { epoch, offset })
}

/// What the hub says of an event, besides its place and its time.
fn tags(record: &Record) -> BTreeMap<&'static str, String> {
    let event = &record.event;
    let mut tags = BTreeMap::from([
        ("type", event.kind.as_str().to_owned()),
        ("id", event.id.to_string()),
        ("key", event.key.to_string()),
        ("epoch", record.cursor.epoch.to_string()),
    ]);
    tags.extend(event.target.map(|id| ("target", id.to_string())));
    tags.extend(event.thread.map(|id| ("thread", id.to_string())));
    if event.annotations != Annotations::new() {
        tags.insert("annotations", Body::of(&event.annotations).as_str().to_owned());
    }
    tags
}

/// What a subscribe reply's `data` says: where the oldest event is, if not everything could be given.
fn oldest(joined: &Joined) -> Option<Oldest> {
    match joined.recovery {
        Recovery::Incomplete { oldest: Some(oldest) } => Some(Oldest { oldest }),
        _ => None,
    }
}

/// A refusal's sentence, with what a plugin said besides: the protocol's error has no other place for it.
fn refused(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Plugin { reason, details: Some(details), .. } => format!("{reason} {}", details.as_str()),
        other => other.message().into_owned(),
    }
}

/// Why a listener no longer listens. Below 2500 it is for good; from there on the client subscribes again by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsubscribed {
    /// Something may be missing: come again with the place you hold.
    InsufficientState,
    /// The subscription's token ran out: come again with another.
    Expired,
    /// The user may not be in this room.
    Banned,
    /// The user is no member of this room any more.
    Removed,
    /// The connection's token gave the room, and its new one does not name it.
    NotGiven,
}

impl Unsubscribed {
    /// Every reason, for documentation.
    pub const ALL: [Self; 5] = [Self::NotGiven, Self::Banned, Self::Removed, Self::InsufficientState, Self::Expired];

    /// The protocol's number.
    pub fn code(self) -> u32 {
        match self {
            Self::InsufficientState => 2500,
            Self::Expired => 2501,
            Self::Banned => 2100,
            Self::Removed => 2101,
            Self::NotGiven => 2000,
        }
    }

    /// The protocol's sentence.
    pub fn reason(self) -> &'static str {
        match self {
            Self::InsufficientState => "insufficient state",
            Self::Expired => "subscription expired",
            Self::Banned => "banned",
            Self::Removed => "removed",
            Self::NotGiven => "server unsubscribe",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: &str = include_str!("../../../docs/reference/native-protocol.md");

    /// The rows of the table that stands behind this comment of the reference.
    fn table(name: &str) -> Vec<&'static str> {
        let (_, rest) = REFERENCE.split_once(&format!("<!-- {name} -->\n")).unwrap();
        rest.split_once("<!-- end -->").unwrap().0.lines().skip(2).collect()
    }

    #[test]
    fn the_reference_lists_every_unsubscribe_as_it_is() {
        let why = |why: Unsubscribed| format!("| {} | {} |", why.code(), why.reason());
        assert_eq!(table("unsubscribes"), Unsubscribed::ALL.map(why));
    }
}
