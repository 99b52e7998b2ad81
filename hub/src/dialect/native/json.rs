//! The JSON encoding of the native dialect. Several JSON objects may share a frame, divided by line feeds.

use super::{Malformed, Unsubscribed, of_stream, oldest, refused, since, tags, wish};
use crate::dialect::command::{Command, Done, Joined, Numbered, Recovery, Reply, Since, nullable};
use crate::outbox::Frame;
use confab_protocol::signal::{PresenceChange, To, Typing, What};
use confab_protocol::{Body, Present, Record, Room, Signal, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tokio_tungstenite::tungstenite::Utf8Bytes;

#[derive(Deserialize)]
struct CommandIn {
    #[serde(default, deserialize_with = "nullable")]
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
    presence: Option<ChannelIn>,
    presence_stats: Option<ChannelIn>,
    sub_refresh: Option<SubRefreshIn>,
}

#[derive(Deserialize)]
struct ConnectIn {
    #[serde(default, deserialize_with = "nullable")]
    token: String,
    data: Option<Body>,
    #[serde(default, deserialize_with = "nullable")]
    subs: BTreeMap<String, Option<SubscribeIn>>,
}

#[derive(Deserialize)]
struct SubscribeIn {
    #[serde(default, deserialize_with = "nullable")]
    channel: String,
    #[serde(default, deserialize_with = "nullable")]
    token: String,
    #[serde(default, deserialize_with = "nullable")]
    join_leave: bool,
    #[serde(default, deserialize_with = "nullable")]
    r#type: i32,
    #[serde(default, deserialize_with = "nullable")]
    recover: bool,
    #[serde(default, deserialize_with = "nullable")]
    epoch: String,
    #[serde(default, deserialize_with = "nullable")]
    offset: u64,
    #[serde(default, deserialize_with = "nullable")]
    flag: i64,
}

#[derive(Deserialize)]
struct ChannelIn {
    #[serde(default, deserialize_with = "nullable")]
    channel: String,
}

#[derive(Deserialize)]
struct PublishIn {
    #[serde(default, deserialize_with = "nullable")]
    channel: String,
    #[serde(default, deserialize_with = "nullable")]
    r#type: i32,
    data: Option<Body>,
}

#[derive(Deserialize)]
struct RpcIn {
    #[serde(default, deserialize_with = "nullable")]
    method: String,
    data: Option<Body>,
}

#[derive(Deserialize)]
struct HistoryIn {
    #[serde(default, deserialize_with = "nullable")]
    channel: String,
    #[serde(default, deserialize_with = "nullable")]
    limit: i64,
    since: Option<SinceIn>,
    #[serde(default, deserialize_with = "nullable")]
    reverse: bool,
}

#[derive(Deserialize)]
struct SinceIn {
    #[serde(default, deserialize_with = "nullable")]
    offset: u64,
    #[serde(default, deserialize_with = "nullable")]
    epoch: String,
}

#[derive(Deserialize)]
struct RefreshIn {
    #[serde(default, deserialize_with = "nullable")]
    token: String,
}

#[derive(Deserialize)]
struct SubRefreshIn {
    #[serde(default, deserialize_with = "nullable")]
    channel: String,
    #[serde(default, deserialize_with = "nullable")]
    token: String,
}

impl SubscribeIn {
    fn since(&self) -> Result<Option<Since>, Malformed> {
        self.recover.then(|| since(&self.epoch, self.offset)).transpose()
    }
}

/// The commands of one text frame, each read when it is its turn.
#[derive(Debug)]
pub struct Commands {
    frame: Utf8Bytes,
    at: usize,
}

impl Commands {
    /// Those of this frame.
    pub fn of(frame: Utf8Bytes) -> Self {
        Self { frame, at: 0 }
    }
}

impl Iterator for Commands {
    type Item = Result<Numbered, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(rest) = self.frame.as_str().get(self.at..).filter(|rest| !rest.is_empty()) {
            let line = rest.split('\n').next().unwrap_or(rest);
            self.at += line.len() + 1;
            if !line.trim().is_empty() {
                return Some(decode_one(line));
            }
        }
        None
    }
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
            let mut subs = Vec::new();
            for (room, sub) in connect.subs {
                let since = sub.map(|sub| sub.since()).transpose()?.flatten();
                subs.extend(since.map(|since| (room, since)));
            }
            found.push(Command::Connect { token: connect.token, data: connect.data, subs });
        }
        if let Some(sub) = self.subscribe {
            let since = sub.since()?;
            let SubscribeIn { channel: room, token, join_leave, r#type, flag, .. } = sub;
            found.push(of_stream(r#type, Command::Subscribe { room, wish: wish(since, flag, token, join_leave) }));
        }
        found.extend(self.unsubscribe.map(|of| Command::Unsubscribe { room: of.channel }));
        if let Some(publish) = self.publish {
            let command = Command::Publish { room: publish.channel, data: publish.data.unwrap_or_else(Body::null) };
            found.push(of_stream(publish.r#type, command));
        }
        if let Some(rpc) = self.rpc {
            found.push(Command::Rpc { method: rpc.method, data: rpc.data });
        }
        if let Some(history) = self.history {
            let since = history.since.map(|s| since(&s.epoch, s.offset)).transpose()?;
            let HistoryIn { channel: room, limit, reverse, .. } = history;
            found.push(Command::History { room, since, reverse, limit });
        }
        found.extend(self.presence.map(|of| Command::Presence { room: of.channel }));
        found.extend(self.presence_stats.map(|of| Command::PresenceStats { room: of.channel }));
        found.extend(self.refresh.map(|refresh| Command::Refresh { token: refresh.token }));
        found.extend(self.sub_refresh.map(|of| Command::SubRefresh { room: of.channel, token: of.token }));
        found.extend(self.send.map(|_| Command::Send));
        found.extend(self.ping.map(|_| Command::Unavailable));
        match found.len() {
            0 => Ok(Command::Unknown),
            1 => Ok(found.swap_remove(0)),
            n => Err(Malformed::Methods(n)),
        }
    }
}

#[derive(Default, Serialize)]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_refresh: Option<ExpiryOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence: Option<PresenceOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_stats: Option<PresenceStatsOut>,
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
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    subs: BTreeMap<&'a Room, SubscribeOut<'a>>,
}

#[derive(Serialize)]
struct ExpiryOut {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    expires: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
}

#[derive(Serialize)]
struct PresenceOut<'a> {
    presence: BTreeMap<&'a str, InfoOut<'a>>,
}

#[derive(Serialize)]
struct PresenceStatsOut {
    num_clients: u32,
    num_users: u32,
}

#[derive(Serialize)]
struct SubscribeOut<'a> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    expires: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
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
        let sender = &event.sender;
        let info = InfoOut {
            user: &sender.user,
            client: sender.client.as_deref().unwrap_or_default(),
            conn_info: sender.info.as_ref(),
        };
        Self { data: &event.body, info, offset: record.cursor.offset, tags: tags(record), time: event.at }
    }
}

impl<'a> InfoOut<'a> {
    fn of(present: &'a Present) -> Self {
        Self { user: &present.user, client: &present.client, conn_info: present.info.as_ref() }
    }
}

/// Writes the answer to command `number`.
pub fn reply(number: u32, reply: &Reply) -> Frame {
    let mut out = ReplyOut { id: number, ..ReplyOut::default() };
    let message; // what an error's text borrows from
    match reply {
        Reply::Connected { client, ping_s, ttl, subs } => {
            let subs = subs.iter().map(|(room, joined)| (room, subscription(joined))).collect();
            out.connect = Some(ConnectOut { ping: Some(*ping_s), pong: true, subs, ..connection(client, *ttl) });
        }
        Reply::SubRefreshed { ttl } => out.sub_refresh = Some(ExpiryOut { expires: ttl.is_some(), ttl: *ttl }),
        Reply::Refreshed { client, ttl } => out.refresh = Some(connection(client, *ttl)),
        Reply::Subscribed(joined) => out.subscribe = Some(subscription(joined)),
        Reply::Empty(Done::Unsubscribe) => out.unsubscribe = Some(Nothing {}),
        Reply::Empty(Done::Publish) => out.publish = Some(Nothing {}),
        Reply::Rpc(data) => out.rpc = Some(RpcOut { data }),
        Reply::History { records, top } => {
            let publications = records.iter().map(|record| PublicationOut::of(record)).collect();
            out.history = Some(HistoryOut { publications, epoch: top.epoch, offset: top.offset });
        }
        Reply::Presence { some, .. } => {
            let presence = some.iter().map(|one| (one.client.as_str(), InfoOut::of(one))).collect();
            out.presence = Some(PresenceOut { presence });
        }
        Reply::PresenceStats { clients, users } => {
            out.presence_stats = Some(PresenceStatsOut { num_clients: *clients, num_users: *users });
        }
        Reply::Refused(refusal) | Reply::NotConnected(refusal) => {
            message = refused(refusal);
            out.error = Some(ErrorOut { code: refusal.code(), message: &message, temporary: refusal.temporary() });
        }
        Reply::Unanswered => return Frame::Text(Default::default()),
    }
    json(&out)
}

fn connection(client: &str, ttl: Option<u64>) -> ConnectOut<'_> {
    let version = super::VERSION;
    let subs = BTreeMap::new();
    ConnectOut { client, version, ping: None, pong: false, expires: ttl.is_some(), ttl, subs }
}

fn subscription(joined: &Joined) -> SubscribeOut<'_> {
    SubscribeOut {
        expires: joined.ttl.is_some(),
        ttl: joined.ttl,
        recoverable: true,
        positioned: true,
        epoch: joined.cursor.epoch,
        offset: joined.cursor.offset,
        recovered: joined.recovery == Recovery::Complete,
        was_recovering: joined.recovery != Recovery::NotAsked,
        publications: joined.missed.iter().map(|record| PublicationOut::of(record)).collect(),
        data: oldest(joined),
    }
}

#[derive(Serialize)]
struct PushOut<'a> {
    push: PushedOut<'a>,
}

#[derive(Serialize)]
struct PushedOut<'a> {
    channel: &'a Room,
    #[serde(flatten)]
    what: WhatOut<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum WhatOut<'a> {
    Pub(PublicationOut<'a>),
    Join(WhoOut<'a>),
    Leave(WhoOut<'a>),
    Unsubscribe(ReasonOut),
    #[serde(rename = "pub")]
    Typing(TypingOut<'a>),
}

/// A publication that has no place in the room's order.
#[derive(Serialize)]
struct TypingOut<'a> {
    data: (),
    info: InfoOut<'a>,
    tags: BTreeMap<&'static str, &'static str>,
}

#[derive(Serialize)]
struct WhoOut<'a> {
    info: InfoOut<'a>,
}

#[derive(Serialize)]
struct ReasonOut {
    code: u32,
    reason: &'static str,
}

fn push(channel: &Room, what: WhatOut<'_>) -> Frame {
    json(&PushOut { push: PushedOut { channel, what } })
}

/// Writes an event as a publication.
pub fn publication(record: &Record) -> Frame {
    push(&record.event.room, WhatOut::Pub(PublicationOut::of(record)))
}

/// Tells the client that it no longer listens, and why.
pub fn unsubscribed(room: &Room, why: Unsubscribed) -> Frame {
    push(room, WhatOut::Unsubscribe(ReasonOut { code: why.code(), reason: why.reason() }))
}

/// Writes a signal: what is for a room as a push of its channel, what is for a user as an asynchronous message of the protocol.
pub fn signal(signal: &Signal) -> Frame {
    match (&signal.to, &signal.what) {
        (To::Room(room), What::PresenceChange(PresenceChange { who, here })) => {
            let who = WhoOut { info: InfoOut::of(who) };
            push(room, if *here { WhatOut::Join(who) } else { WhatOut::Leave(who) })
        }
        (To::Room(room), What::Typing(Typing { who })) => {
            let tags = BTreeMap::from([("type", signal.what.kind())]);
            push(room, WhatOut::Typing(TypingOut { data: (), info: InfoOut::of(who), tags }))
        }
        (To::User(_), what) | (To::Room(_), what @ What::RoomChanged(_)) => message(&what.message()),
        (To::Room(_) | To::Hubs, _) => Frame::Text(Default::default()),
    }
}

fn message(data: &Body) -> Frame {
    format!(r#"{{"push":{{"message":{{"data":{}}}}}}}"#, data.as_str()).into()
}

/// A ping.
pub fn ping() -> Frame {
    Frame::Text("{}".into())
}

fn json(value: &impl Serialize) -> Frame {
    serde_json::to_string(value).expect("what we write has a JSON form").into()
}
