//! The native dialect: the Centrifugo client protocol in its JSON encoding.
//!
//! Several JSON objects may share a frame, divided by line feeds. A publication is the event in the protocol's own
//! places: `data` is the body exactly as judged and nothing is ever added to it; what the hub says of it stands in
//! `info`, `time`, `offset` and `tags`.

use super::command::{Command, Done, Joined, Numbered, Recovery, Reply, Since};
use crate::outbox::Frame;
use confab_protocol::{Annotations, Body, Record, Refusal, Room, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The subprotocol that a client may name.
pub const SUBPROTOCOL: &str = "centrifuge-json";

/// "Insufficient state": the client subscribes again, with the place it holds.
const UNSUBSCRIBED_INSUFFICIENT: u32 = 2500;

/// The frame does not follow the protocol.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// It is no JSON, or not of the shape of a command.
    #[error("command is malformed")]
    Json(#[from] serde_json::Error),
    /// It has not exactly one method.
    #[error("command has {0} methods")]
    Methods(usize),
    /// It expects an answer but has no number.
    #[error("command has no id")]
    NoNumber,
    /// It is binary, and this encoding is text.
    #[error("frame is binary")]
    Binary,
    /// A place in it is none.
    #[error("command has a malformed epoch")]
    Epoch,
}

#[derive(Deserialize)]
struct CommandIn {
    #[serde(default)]
    id: u32,
    connect: Option<ConnectIn>,
    subscribe: Option<SubscribeIn>,
    unsubscribe: Option<ChannelIn>,
    publish: Option<PublishIn>,
    rpc: Option<RpcIn>,
    history: Option<HistoryIn>,
    refresh: Option<RefreshIn>,
    send: Option<serde::de::IgnoredAny>,
    ping: Option<serde::de::IgnoredAny>,
    presence: Option<serde::de::IgnoredAny>,
    presence_stats: Option<serde::de::IgnoredAny>,
    sub_refresh: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct ConnectIn {
    #[serde(default)]
    token: String,
    data: Option<Body>,
}

#[derive(Deserialize)]
struct SubscribeIn {
    #[serde(default)]
    channel: String,
    #[serde(default)]
    recover: bool,
    #[serde(default)]
    epoch: String,
    #[serde(default)]
    offset: u64,
}

#[derive(Deserialize)]
struct ChannelIn {
    #[serde(default)]
    channel: String,
}

#[derive(Deserialize)]
struct PublishIn {
    #[serde(default)]
    channel: String,
    data: Option<Body>,
}

#[derive(Deserialize)]
struct RpcIn {
    #[serde(default)]
    method: String,
    data: Option<Body>,
}

#[derive(Deserialize)]
struct HistoryIn {
    #[serde(default)]
    channel: String,
    #[serde(default)]
    limit: i64,
    since: Option<SinceIn>,
    #[serde(default)]
    reverse: bool,
}

#[derive(Deserialize)]
struct SinceIn {
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    epoch: String,
}

#[derive(Deserialize)]
struct RefreshIn {
    #[serde(default)]
    token: String,
}

/// Reads the commands of one text frame, in order.
pub fn decode(frame: &str) -> Result<Vec<Numbered>, Malformed> {
    frame.split('\n').filter(|line| !line.trim().is_empty()).map(decode_one).collect()
}

fn decode_one(line: &str) -> Result<Numbered, Malformed> {
    if line.trim() == "{}" {
        return Ok(Numbered { number: None, command: Command::Pong });
    }
    let read: CommandIn = serde_json::from_str(line)?;
    let number = read.id;
    let command = read.command()?;
    let number = match command {
        Command::Send => None,
        _ if number == 0 => return Err(Malformed::NoNumber),
        _ => Some(number),
    };
    Ok(Numbered { number, command })
}

impl CommandIn {
    fn command(self) -> Result<Command, Malformed> {
        let mut found = Vec::with_capacity(1);
        if let Some(connect) = self.connect {
            found.push(Command::Connect { token: connect.token, data: connect.data });
        }
        if let Some(sub) = self.subscribe {
            let since = if sub.recover { Some(since(&sub.epoch, sub.offset)?) } else { None };
            found.push(Command::Subscribe { room: sub.channel, since });
        }
        if let Some(unsubscribe) = self.unsubscribe {
            found.push(Command::Unsubscribe { room: unsubscribe.channel });
        }
        if let Some(publish) = self.publish {
            found.push(Command::Publish { room: publish.channel, data: publish.data.unwrap_or_else(Body::null) });
        }
        if let Some(rpc) = self.rpc {
            found.push(Command::Rpc { method: rpc.method, data: rpc.data });
        }
        if let Some(history) = self.history {
            let since = history.since.map(|s| since(&s.epoch, s.offset)).transpose()?;
            let HistoryIn { channel: room, limit, reverse, .. } = history;
            found.push(Command::History { room, since, reverse, limit });
        }
        if let Some(refresh) = self.refresh {
            found.push(Command::Refresh { token: refresh.token });
        }
        if self.send.is_some() {
            found.push(Command::Send);
        }
        let unavailable = [self.ping, self.presence, self.presence_stats, self.sub_refresh];
        found.extend(unavailable.iter().flatten().map(|_| Command::Unavailable));
        match found.len() {
            0 => Ok(Command::Unknown),
            1 => Ok(found.swap_remove(0)),
            n => Err(Malformed::Methods(n)),
        }
    }
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

#[derive(Serialize)]
struct ReplyOut<'a> {
    id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect: Option<ConnectOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscribe: Option<SubscribeOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unsubscribe: Option<Nothing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    publish: Option<Nothing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rpc: Option<RpcOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<HistoryOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh: Option<ConnectOut<'a>>,
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct ErrorOut<'a> {
    code: u32,
    message: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    temporary: bool,
}

#[derive(Serialize)]
struct ConnectOut<'a> {
    client: &'a str,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ping: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pong: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    expires: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
}

#[derive(Serialize)]
struct SubscribeOut<'a> {
    recoverable: bool,
    positioned: bool,
    epoch: confab_protocol::Epoch,
    offset: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    recovered: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    was_recovering: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    publications: Vec<PublicationOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<confab_protocol::refusal::Oldest>,
}

#[derive(Serialize)]
struct RpcOut<'a> {
    data: &'a Body,
}

#[derive(Serialize)]
struct HistoryOut<'a> {
    publications: Vec<PublicationOut<'a>>,
    epoch: confab_protocol::Epoch,
    offset: u64,
}

#[derive(Serialize)]
struct PublicationOut<'a> {
    data: &'a Body,
    info: InfoOut<'a>,
    offset: u64,
    tags: BTreeMap<&'static str, String>,
    time: u64,
}

#[derive(Serialize)]
struct InfoOut<'a> {
    user: &'a UserId,
    client: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    conn_info: Option<&'a Body>,
}

impl<'a> PublicationOut<'a> {
    fn of(record: &'a Record) -> Self {
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
        let sender = &event.sender;
        let info = InfoOut {
            user: &sender.user,
            client: sender.client.as_deref().unwrap_or_default(),
            conn_info: sender.info.as_ref(),
        };
        Self { data: &event.body, info, offset: record.cursor.offset, tags, time: event.at }
    }
}

/// Writes the answer to command `number`.
pub fn reply(number: u32, reply: &Reply) -> Frame {
    let mut out = ReplyOut {
        id: number,
        error: None,
        connect: None,
        subscribe: None,
        unsubscribe: None,
        publish: None,
        rpc: None,
        history: None,
        refresh: None,
    };
    let message; // what an error's text borrows from
    match reply {
        Reply::Connected { client, ping_s, ttl } => {
            out.connect = Some(ConnectOut { ping: Some(*ping_s), pong: true, ..connection(client, *ttl) });
        }
        Reply::Refreshed { client, ttl } => out.refresh = Some(connection(client, *ttl)),
        Reply::Subscribed(joined) => out.subscribe = Some(subscription(joined)),
        Reply::Empty(Done::Unsubscribe) => out.unsubscribe = Some(Nothing {}),
        Reply::Empty(Done::Publish) => out.publish = Some(Nothing {}),
        Reply::Rpc(data) => out.rpc = Some(RpcOut { data }),
        Reply::History { records, top } => {
            let publications = records.iter().map(|record| PublicationOut::of(record)).collect();
            out.history = Some(HistoryOut { publications, epoch: top.epoch, offset: top.offset });
        }
        Reply::Refused(refusal) | Reply::NotConnected(refusal) => {
            message = refused(refusal);
            out.error = Some(ErrorOut { code: refusal.code(), message: &message, temporary: refusal.temporary() });
        }
    }
    json(&out)
}

/// A refusal's sentence, with what a plugin said besides: the protocol's error has no other place for it.
fn refused(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Plugin { reason, details: Some(details), .. } => format!("{reason} {}", details.as_str()),
        other => other.message().into_owned(),
    }
}

fn connection(client: &str, ttl: Option<u64>) -> ConnectOut<'_> {
    let version = concat!("confab ", env!("CARGO_PKG_VERSION"));
    ConnectOut { client, version, ping: None, pong: false, expires: ttl.is_some(), ttl }
}

fn subscription(joined: &Joined) -> SubscribeOut<'_> {
    SubscribeOut {
        recoverable: true,
        positioned: true,
        epoch: joined.cursor.epoch,
        offset: joined.cursor.offset,
        recovered: joined.recovery == Recovery::Complete,
        was_recovering: joined.recovery != Recovery::NotAsked,
        publications: joined.missed.iter().map(|record| PublicationOut::of(record)).collect(),
        data: match joined.recovery {
            Recovery::Incomplete { oldest: Some(oldest) } => Some(confab_protocol::refusal::Oldest { oldest }),
            _ => None,
        },
    }
}

/// Writes an event as a publication.
pub fn publication(record: &Record) -> Frame {
    #[derive(Serialize)]
    struct Outer<'a> {
        push: Inner<'a>,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        channel: &'a Room,
        r#pub: PublicationOut<'a>,
    }
    json(&Outer { push: Inner { channel: &record.event.room, r#pub: PublicationOut::of(record) } })
}

/// Tells the client that it no longer listens and should subscribe again from the place it holds.
pub fn unsubscribed(room: &Room) -> Frame {
    #[derive(Serialize)]
    struct Outer<'a> {
        push: Inner<'a>,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        channel: &'a Room,
        unsubscribe: Reason,
    }
    #[derive(Serialize)]
    struct Reason {
        code: u32,
        reason: &'static str,
    }
    let unsubscribe = Reason { code: UNSUBSCRIBED_INSUFFICIENT, reason: "insufficient state" };
    json(&Outer { push: Inner { channel: room, unsubscribe } })
}

/// A ping.
pub fn ping() -> Frame {
    Frame::Text("{}".into())
}

fn json(value: &impl Serialize) -> Frame {
    serde_json::to_string(value).expect("what we write has a JSON form").into()
}
