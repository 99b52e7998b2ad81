//! From answers and events to packets, as Engine.IO messages.

use crate::dialect::Unsubscribed;
use crate::dialect::command::{Joined, NO_ANSWER, Recovery, Reply};
use crate::outbox::Frame;
use confab_protocol::signal::{To, Typing, What};
use confab_protocol::{Body, Close, Cursor, Key, Present, PublicRecord, Record, Refusal, Room, Signal};
use serde::Serialize;

/// A frame that is never sent.
fn nothing() -> Frame {
    Frame::Text(Default::default())
}

/// Writes the answer to command `number`: an acknowledgement, or, where none was asked for, what cannot be left unsaid.
pub fn reply(number: u32, reply: &Reply) -> Frame {
    match reply {
        Reply::Connected { client, .. } => format!("40{}", json(&Sid { sid: client })).into(),
        Reply::NotConnected(refusal) => not_connected(refusal.code(), &refusal.message(), refusal.temporary()),
        Reply::Refused(refusal) if number == NO_ANSWER => event("refused", &Error::of(refusal)),
        Reply::Refused(refusal) => ack(number, &Failed { ok: false, error: Error::of(refusal) }),
        Reply::Subscribed(joined) if number == NO_ANSWER => event("joined", &JoinedOut::of(joined)),
        Reply::Subscribed(joined) => ack(number, &JoinedOut::of(joined)),
        _ if number == NO_ANSWER => nothing(),
        Reply::Unanswered => nothing(),
        Reply::Empty(_) => ack(number, &Done { ok: true }),
        Reply::Refreshed { ttl, .. } => ack(number, &Refreshed { ok: true, ttl: *ttl }),
        Reply::SubRefreshed { ttl } => ack(number, &Refreshed { ok: true, ttl: *ttl }),
        Reply::Presence { some, clients } => ack(number, &Presence { ok: true, clients: some, total: *clients }),
        Reply::PresenceStats { clients, users } => ack(number, &Stats { ok: true, clients: *clients, users: *users }),
        Reply::Rpc(result) => format!("43{number}[{}]", with_ok(result)).into(),
        Reply::History { records, top } => {
            let events = records.iter().map(|record| record.public()).collect();
            ack(number, &History { ok: true, events, cursor: *top })
        }
    }
}

/// Tells the client that an event of its own, which the settings map, was refused.
pub fn refused(event: &str, key: Option<&Key>, refusal: &Refusal) -> Frame {
    #[derive(Serialize)]
    struct Refused<'a> {
        event: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a Key>,
        #[serde(flatten)]
        error: Error<'a>,
    }
    self::event("refused", &Refused { event, key, error: Error::of(refusal) })
}

/// Writes an event for listeners.
pub fn publication(record: &Record) -> Frame {
    event("event", &record.public())
}

/// Writes a signal: an event by the name of its kind. The dialect does not tell who comes and goes.
pub fn signal(signal: &Signal) -> Frame {
    #[derive(Serialize)]
    struct TypingOut<'a> {
        room: &'a Room,
        #[serde(flatten)]
        who: &'a Present,
    }
    let kind = signal.what.kind();
    match (&signal.to, &signal.what) {
        (To::Room(room), What::Typing(Typing { who })) => event(kind, &TypingOut { room, who }),
        (To::User(_), what) | (To::Room(_), what @ What::RoomChanged(_)) => event(kind, &what.message()),
        (To::Room(_) | To::Hubs, _) => nothing(),
    }
}

/// Tells a listener that it does not hear a room any more: to join again, with the cursor of the last event that it has,
/// or that it may not.
pub fn unsubscribed(room: &Room, why: Unsubscribed) -> Frame {
    #[derive(Serialize)]
    struct Out<'a> {
        room: &'a Room,
        reason: &'static str,
    }
    match why {
        Unsubscribed::Banned | Unsubscribed::Removed | Unsubscribed::NotGiven => {
            event("removed", &Out { room, reason: why.reason() })
        }
        // The dialect has no tokens for rooms that could end.
        Unsubscribed::InsufficientState | Unsubscribed::Expired => {
            event("rejoin", &Out { room, reason: Unsubscribed::InsufficientState.reason() })
        }
    }
}

/// What a client is told before its session ends. One that should not come back is disconnected by name, for stock
/// clients come back by themselves whenever only the link ends. One that was not let in yet takes every error for the last
/// word, so it hears only those that are.
pub fn close_frames(close: Close, connected: bool) -> Vec<Frame> {
    #[derive(Serialize)]
    struct Closing {
        code: u16,
        reason: &'static str,
        reconnect: bool,
    }
    if !connected && close.reconnect() {
        return Vec::new();
    }
    if !connected {
        return vec![not_connected(close.code().into(), close.reason(), close.reconnect())];
    }
    let closing = Closing { code: close.code(), reason: close.reason(), reconnect: close.reconnect() };
    let mut frames = vec![event("closing", &closing)];
    if !close.reconnect() {
        frames.push(Frame::Text("41".into()));
    }
    frames
}

#[derive(Serialize)]
struct Sid<'a> {
    sid: &'a str,
}

#[derive(Serialize)]
struct Presence<'a> {
    ok: bool,
    clients: &'a [Present],
    total: u32,
}

#[derive(Serialize)]
struct Stats {
    ok: bool,
    clients: u32,
    users: u32,
}

#[derive(Serialize)]
struct Done {
    ok: bool,
}

#[derive(Serialize)]
struct Refreshed {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
}

#[derive(Serialize)]
struct Failed<'a> {
    ok: bool,
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    code: u32,
    message: std::borrow::Cow<'a, str>,
    temporary: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Details<'a> {
    Said(&'a Body),
    Left { seconds: u64 },
    Later { retry_after_ms: u64 },
}

impl<'a> Error<'a> {
    fn of(refusal: &'a Refusal) -> Self {
        let details = match refusal {
            Refusal::Plugin { details, .. } => details.as_ref().map(Details::Said),
            Refusal::Muted { seconds, .. } | Refusal::Banned { seconds: Some(seconds), .. } => {
                Some(Details::Left { seconds: *seconds })
            }
            Refusal::TooManyRequests { retry_after_ms } => Some(Details::Later { retry_after_ms: *retry_after_ms }),
            _ => None,
        };
        Self { code: refusal.code(), message: refusal.message(), temporary: refusal.temporary(), details }
    }
}

#[derive(Serialize)]
struct History<'a> {
    ok: bool,
    events: Vec<PublicRecord<'a>>,
    cursor: Cursor,
}

#[derive(Serialize)]
struct JoinedOut<'a> {
    ok: bool,
    cursor: Cursor,
    recovered: bool,
    events: Vec<PublicRecord<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest: Option<Cursor>,
}

impl<'a> JoinedOut<'a> {
    fn of(joined: &'a Joined) -> Self {
        let oldest = match joined.recovery {
            Recovery::Incomplete { oldest } => oldest,
            Recovery::NotAsked | Recovery::Complete => None,
        };
        let events = joined.missed.iter().map(|record| record.public()).collect();
        Self { ok: true, cursor: joined.cursor, recovered: joined.recovery == Recovery::Complete, events, oldest }
    }
}

/// The form in which stock clients make an error of it, with the numbers in its `data`.
fn not_connected(code: u32, message: &str, temporary: bool) -> Frame {
    #[derive(Serialize)]
    struct NotConnected<'a> {
        message: &'a str,
        data: Data,
    }
    #[derive(Serialize)]
    struct Data {
        code: u32,
        temporary: bool,
    }
    format!("44{}", json(&NotConnected { message, data: Data { code, temporary } })).into()
}

/// A verb's result with `ok: true` in it.
fn with_ok(result: &Body) -> String {
    match result.as_str().trim_start().strip_prefix('{').map(str::trim_start) {
        Some("}") => r#"{"ok":true}"#.to_owned(),
        Some(fields) => format!(r#"{{"ok":true,{fields}"#),
        None => format!(r#"{{"ok":true,"result":{}}}"#, result.as_str()),
    }
}

fn ack(number: u32, result: &impl Serialize) -> Frame {
    format!("43{number}[{}]", json(result)).into()
}

fn event(name: &'static str, data: &impl Serialize) -> Frame {
    format!(r#"42["{name}",{}]"#, json(data)).into()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("what we write has a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(frame: &Frame) -> &str {
        match frame {
            Frame::Text(text) => text.as_str(),
            Frame::Binary(_) => panic!("the dialect writes text"),
        }
    }

    #[test]
    fn a_receipt_is_an_ack_that_says_ok() {
        let receipt = Reply::Rpc(Body::parse(r#"{"id":"x","offset":3}"#).unwrap());
        assert_eq!(text(&reply(12, &receipt)), r#"4312[{"ok":true,"id":"x","offset":3}]"#);
        assert_eq!(text(&reply(0, &Reply::Rpc(Body::parse("{ }").unwrap()))), r#"430[{"ok":true}]"#);
        assert_eq!(text(&reply(0, &Reply::Rpc(Body::parse("[1]").unwrap()))), r#"430[{"ok":true,"result":[1]}]"#);
        assert!(reply(NO_ANSWER, &receipt).is_empty());
    }

    #[test]
    fn a_refusal_is_never_left_unsaid() {
        let refused = Reply::Refused(Refusal::Draining);
        let error = r#"{"code":208,"message":"this hub is draining: ask another","temporary":true}"#;
        assert_eq!(text(&reply(7, &refused)), format!(r#"437[{{"ok":false,"error":{error}}}]"#));
        assert_eq!(text(&reply(NO_ANSWER, &refused)), format!(r#"42["refused",{error}]"#));
    }

    #[test]
    fn who_is_banned_is_told_that_it_is_no_use_to_join_again_and_for_how_long() {
        let room = Room::new("lobby").unwrap();
        let removed = unsubscribed(&room, Unsubscribed::Banned);
        assert_eq!(text(&removed), r#"42["removed",{"room":"lobby","reason":"banned"}]"#);
        let rejoin = unsubscribed(&room, Unsubscribed::InsufficientState);
        assert_eq!(text(&rejoin), r#"42["rejoin",{"room":"lobby","reason":"insufficient state"}]"#);
        let banned = |seconds| reply(1, &Reply::Refused(Refusal::Banned { seconds, reason: "enough".into() }));
        assert!(text(&banned(Some(60))).contains(r#""temporary":false,"details":{"seconds":60}}"#));
        assert!(!text(&banned(None)).contains("details"));
    }

    #[test]
    fn only_a_client_that_should_stay_away_is_disconnected_by_name() {
        assert_eq!(close_frames(Close::Slow, true).len(), 1);
        let last = close_frames(Close::ForceDisconnect, true);
        assert_eq!(text(&last[1]), "41");
        let never = close_frames(Close::InvalidToken, false);
        assert!(close_frames(Close::Shutdown, false).is_empty());
        assert_eq!(text(&never[0]), r#"44{"message":"invalid token","data":{"code":3500,"temporary":false}}"#);
    }
}
