//! The Protobuf encoding of the native dialect.
//!
//! A frame holds one or more commands, or replies, each with its length in front; an empty one is a ping or a pong.
//! Bodies are JSON in this encoding too: `data` holds the body's JSON text as bytes, and a `data` from a client that is
//! no JSON is refused as a bad request (107). So a room sounds the same whichever encoding its listeners speak.

use super::{Malformed, Unsubscribed, of_stream, oldest, refused, since, tags, wire, wish};
use crate::dialect::command::{Command, Done, Joined, Numbered, Recovery, Reply};
use crate::outbox::Frame;
use bytes::{Buf, Bytes};
use confab_protocol::signal::{PresenceChange, To, Typing, What};
use confab_protocol::{Body, Present, Record, Room, Sender, Signal};
use prost::Message;

/// The commands of one binary frame, each read when it is its turn.
#[derive(Debug)]
pub struct Commands {
    rest: Bytes,
}

impl Commands {
    /// Those of this frame, which must hold something.
    pub fn of(frame: Bytes) -> Result<Self, Malformed> {
        if frame.is_empty() { Err(Malformed::Empty) } else { Ok(Self { rest: frame }) }
    }
}

impl Iterator for Commands {
    type Item = Result<Numbered, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.rest.has_remaining() {
            return None;
        }
        Some(wire::Command::decode_length_delimited(&mut self.rest).map_err(Malformed::from).and_then(numbered))
    }
}

fn numbered(read: wire::Command) -> Result<Numbered, Malformed> {
    if read == wire::Command::default() {
        return Ok(Numbered { number: None, command: Command::Pong });
    }
    let number = read.id;
    let command = command(read)?;
    match command {
        Command::Send => Ok(Numbered { number: None, command }),
        _ if number == 0 => Err(Malformed::NoNumber),
        _ => Ok(Numbered { number: Some(number), command }),
    }
}

fn command(read: wire::Command) -> Result<Command, Malformed> {
    let mut found = Vec::with_capacity(1);
    if let Some(connect) = read.connect {
        let recovering = connect.subs.into_iter().filter(|(_, sub)| sub.recover);
        let subs = recovering.map(|(room, sub)| Ok((room, since(&sub.epoch, sub.offset)?)));
        let subs = subs.collect::<Result<_, Malformed>>()?;
        let token = connect.token;
        found.push(json(connect.data, |data| Command::Connect { token, data, subs }));
    }
    if let Some(sub) = read.subscribe {
        let since = if sub.recover { Some(since(&sub.epoch, sub.offset)?) } else { None };
        let wire::SubscribeRequest { channel: room, token, join_leave, kind, flag, .. } = sub;
        found.push(of_stream(kind, Command::Subscribe { room, wish: wish(since, flag, token, join_leave) }));
    }
    found.extend(read.unsubscribe.map(|of| Command::Unsubscribe { room: of.channel }));
    if let Some(publish) = read.publish {
        let room = publish.channel;
        let body = |data: Option<Body>| Command::Publish { room, data: data.unwrap_or_else(Body::null) };
        found.push(of_stream(publish.kind, json(publish.data, body)));
    }
    if let Some(rpc) = read.rpc {
        let method = rpc.method;
        found.push(json(rpc.data, |data| Command::Rpc { method, data }));
    }
    if let Some(history) = read.history {
        let since = history.since.map(|place| since(&place.epoch, place.offset)).transpose()?;
        let room = history.channel;
        let limit = history.limit.into();
        found.push(Command::History { room, since, reverse: history.reverse, limit });
    }
    found.extend(read.presence.map(|of| Command::Presence { room: of.channel }));
    found.extend(read.presence_stats.map(|of| Command::PresenceStats { room: of.channel }));
    found.extend(read.refresh.map(|refresh| Command::Refresh { token: refresh.token }));
    found.extend(read.sub_refresh.map(|of| Command::SubRefresh { room: of.channel, token: of.token }));
    found.extend(read.send.map(|_| Command::Send));
    found.extend(read.ping.map(|_| Command::Unavailable));
    match found.len() {
        0 => Ok(Command::Unknown),
        1 => Ok(found.swap_remove(0)),
        n => Err(Malformed::Methods(n)),
    }
}

/// The command with its data read; no data at all is none.
fn json(data: Bytes, command: impl FnOnce(Option<Body>) -> Command) -> Command {
    if data.is_empty() {
        return command(None);
    }
    let read = String::from_utf8(data.into()).ok().and_then(|text| Body::parse(text).ok());
    read.map_or(Command::NotJson, |body| command(Some(body)))
}

/// Writes the answer to command `number`.
pub fn reply(number: u32, reply: &Reply) -> Frame {
    let mut out = wire::Reply { id: number, ..wire::Reply::default() };
    match reply {
        Reply::Connected { client, ping_s, ttl, subs } => {
            out.connect = Some(wire::ConnectResult {
                client: client.clone(),
                version: super::VERSION.into(),
                expires: ttl.is_some(),
                ttl: seconds(*ttl),
                subs: subs.iter().map(|(room, joined)| (room.to_string(), subscription(joined))).collect(),
                ping: seconds(Some(*ping_s)),
                pong: true,
            });
        }
        Reply::Refreshed { client, ttl } => {
            let client = client.clone();
            let version = super::VERSION.into();
            out.refresh = Some(wire::RefreshResult { client, version, expires: ttl.is_some(), ttl: seconds(*ttl) });
        }
        Reply::SubRefreshed { ttl } => {
            out.sub_refresh = Some(wire::SubRefreshResult { expires: ttl.is_some(), ttl: seconds(*ttl) });
        }
        Reply::Subscribed(joined) => out.subscribe = Some(subscription(joined)),
        Reply::Empty(Done::Unsubscribe) => out.unsubscribe = Some(wire::Nothing {}),
        Reply::Empty(Done::Publish) => out.publish = Some(wire::Nothing {}),
        Reply::Rpc(data) => out.rpc = Some(wire::RpcResult { data: bytes(data) }),
        Reply::History { records, top } => {
            let publications = records.iter().map(|record| publication_of(record)).collect();
            out.history = Some(wire::HistoryResult { publications, epoch: top.epoch.to_string(), offset: top.offset });
        }
        Reply::Presence { some, .. } => {
            let presence = some.iter().map(|one| (one.client.clone(), client_of(one))).collect();
            out.presence = Some(wire::PresenceResult { presence });
        }
        Reply::PresenceStats { clients, users } => {
            out.presence_stats = Some(wire::PresenceStatsResult { num_clients: *clients, num_users: *users });
        }
        Reply::Refused(refusal) | Reply::NotConnected(refusal) => {
            let code = refusal.code();
            let message = refused(refusal);
            let temporary = refusal.temporary();
            out.error = Some(wire::Error { code, message, temporary });
        }
        Reply::Unanswered => return Frame::Text(Default::default()),
    }
    frame(&out)
}

/// Writes an event as a publication.
pub fn publication(record: &Record) -> Frame {
    let publication = Some(publication_of(record));
    push(wire::Push { channel: record.event.room.to_string(), publication, ..wire::Push::default() })
}

/// Tells the client that it no longer listens, and why.
pub fn unsubscribed(room: &Room, why: Unsubscribed) -> Frame {
    let unsubscribe = Some(wire::Unsubscribe { code: why.code(), reason: why.reason().into() });
    push(wire::Push { channel: room.to_string(), unsubscribe, ..wire::Push::default() })
}

/// Writes a signal: what is for a room as a push of its channel, what is for a user as an asynchronous message of the protocol.
pub fn signal(signal: &Signal) -> Frame {
    match (&signal.to, &signal.what) {
        (To::Room(room), What::PresenceChange(PresenceChange { who, here })) => {
            let presence = Some(wire::Presence { info: Some(client_of(who)) });
            let (join, leave) = if *here { (presence, None) } else { (None, presence) };
            push(wire::Push { channel: room.to_string(), join, leave, ..wire::Push::default() })
        }
        (To::Room(room), What::Typing(Typing { who })) => {
            let publication = Some(wire::Publication {
                data: bytes(&Body::null()),
                info: Some(client_of(who)),
                tags: [("type".to_owned(), signal.what.kind().to_owned())].into(),
                ..wire::Publication::default()
            });
            push(wire::Push { channel: room.to_string(), publication, ..wire::Push::default() })
        }
        (To::User(_), what) | (To::Room(_), what @ What::RoomChanged(_)) => {
            let message = Some(wire::Asynchronous { data: bytes(&what.message()) });
            push(wire::Push { message, ..wire::Push::default() })
        }
        (To::Room(_) | To::Hubs, _) => Frame::Text(Default::default()),
    }
}

/// A ping: an empty reply.
pub fn ping() -> Frame {
    Frame::Binary(Bytes::from_static(&[0]))
}

fn push(push: wire::Push) -> Frame {
    frame(&wire::Reply { push: Some(push), ..wire::Reply::default() })
}

fn frame(reply: &wire::Reply) -> Frame {
    Frame::Binary(reply.encode_length_delimited_to_vec().into())
}

fn bytes(body: &Body) -> Bytes {
    Bytes::copy_from_slice(body.as_str().as_bytes())
}

fn seconds(ttl: Option<u64>) -> u32 {
    ttl.unwrap_or_default().try_into().unwrap_or(u32::MAX)
}

fn client_of(present: &Present) -> wire::ClientInfo {
    let conn_info = present.info.as_ref().map(bytes).unwrap_or_default();
    wire::ClientInfo { user: present.user.to_string(), client: present.client.clone(), conn_info }
}

fn sender_of(sender: &Sender) -> wire::ClientInfo {
    let client = sender.client.clone().unwrap_or_default();
    let conn_info = sender.info.as_ref().map(bytes).unwrap_or_default();
    wire::ClientInfo { user: sender.user.to_string(), client, conn_info }
}

fn publication_of(record: &Record) -> wire::Publication {
    let event = &record.event;
    wire::Publication {
        data: bytes(&event.body),
        info: Some(sender_of(&event.sender)),
        offset: record.cursor.offset,
        tags: tags(record).into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        time: event.at.try_into().unwrap_or(i64::MAX),
    }
}

fn subscription(joined: &Joined) -> wire::SubscribeResult {
    wire::SubscribeResult {
        expires: joined.ttl.is_some(),
        ttl: seconds(joined.ttl),
        recoverable: true,
        epoch: joined.cursor.epoch.to_string(),
        publications: joined.missed.iter().map(|record| publication_of(record)).collect(),
        recovered: joined.recovery == Recovery::Complete,
        offset: joined.cursor.offset,
        positioned: true,
        data: oldest(joined).map(|oldest| bytes(&Body::of(&oldest))).unwrap_or_default(),
        was_recovering: joined.recovery != Recovery::NotAsked,
    }
}

#[cfg(test)]
mod tests;
