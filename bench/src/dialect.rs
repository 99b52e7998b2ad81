//! What each kind of server is told, and what it tells. A connection says who it is, enters one room or none, and then
//! sends or listens.

use crate::body::{self, Reader, Stamp};
use crate::frame;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::io::Write;

/// A way to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Dialect {
    /// The floor's own: a letter and what it is about.
    Floor,
    /// The Centrifugo client protocol in JSON: Confab's native dialect, and that of the `centrifuge` library.
    Native,
    /// Socket.IO v5 over a WebSocket.
    Socketio,
}

/// What a server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// The link is open: say who you are.
    Open,
    /// It knows us.
    Welcome,
    /// We are in the room.
    Joined(Standing<'a>),
    /// The command of that number is done.
    Done(u32),
    /// The message of that number is refused, with this code.
    Refused(u32, u32),
    /// A message of the room.
    Delivery(Stamp),
    /// It asks whether we are there.
    Ping,
}

/// How we stand in a room that we have entered. A server that does not keep places says nothing of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Standing<'a> {
    /// What places in the room are counted under.
    #[serde(borrow, default)]
    pub epoch: Option<&'a str>,
    /// Whether we are given everything since the place that we named.
    #[serde(default)]
    pub recovered: bool,
}

/// A place in a room that somebody holds who comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// What it is counted under.
    pub epoch: &'a str,
    /// Of the last message heard.
    pub offset: u64,
}

/// The number of the command that says who we are, of the one that enters a room, and of the first message.
const HELLO: u32 = 1;
const JOIN: u32 = 2;
/// The number of a publisher's first message.
pub const FIRST: u32 = 3;

impl Dialect {
    /// The path that is asked for in the handshake.
    pub fn path(self) -> &'static str {
        match self {
            Self::Floor => "/",
            Self::Native => "/connection/websocket",
            Self::Socketio => "/socket.io/?EIO=4&transport=websocket",
        }
    }

    /// Whether the server speaks first once the handshake is done.
    pub fn server_begins(self) -> bool {
        self == Self::Socketio
    }

    /// Says who we are. False: there is nothing to say.
    pub fn hello(self, out: &mut Vec<u8>, token: &str) -> bool {
        let text = match self {
            Self::Floor => return false,
            Self::Native => format!(r#"{{"id":{HELLO},"connect":{{"token":"{token}"}}}}"#),
            Self::Socketio => format!(r#"40{{"token":"{token}"}}"#),
        };
        frame::write(out, text.as_bytes());
        true
    }

    /// Enters a room; `since`, for those who come back, is the place they hold.
    pub fn join(self, out: &mut Vec<u8>, room: u32, since: Option<Place<'_>>) {
        let recover = |place: Place<'_>| {
            let Place { epoch, offset } = place;
            format!(r#","recover":true,"epoch":"{epoch}","offset":{offset}"#)
        };
        let since = since.map(recover).unwrap_or_default();
        let text = match self {
            Self::Floor => format!("j bench:{room}"),
            Self::Native => format!(r#"{{"id":{JOIN},"subscribe":{{"channel":"bench:{room}"{since}}}}}"#),
            Self::Socketio => format!(r#"42{JOIN}["join",{{"room":"bench:{room}"}}]"#),
        };
        frame::write(out, text.as_bytes());
    }

    /// Sends a message; `scratch` is room to write it in.
    pub fn send(self, out: &mut Vec<u8>, scratch: &mut Vec<u8>, number: u32, stamp: Stamp) {
        scratch.clear();
        let room = stamp.room;
        let written = match self {
            Self::Floor => write!(scratch, "p {number} bench:{room} "),
            Self::Native => write!(scratch, r#"{{"id":{number},"publish":{{"channel":"bench:{room}","data":"#),
            Self::Socketio => write!(scratch, r#"42{number}["send",{{"room":"bench:{room}","body":"#),
        };
        written.expect("a vector takes all that is written");
        body::write(scratch, stamp);
        scratch.extend_from_slice(match self {
            Self::Floor => b"",
            Self::Native => b"}}",
            Self::Socketio => b"}]",
        });
        frame::write(out, scratch);
    }

    /// Says something that is not followed, in the native dialect.
    pub fn say(out: &mut Vec<u8>, number: u32, room: u32, text: &str) {
        let text = serde_json::Value::from(text);
        let publish = format!(r#"{{"id":{number},"publish":{{"channel":"bench:{room}","data":{{"text":{text}}}}}}}"#);
        frame::write(out, publish.as_bytes());
    }

    /// Says that we are there.
    pub fn pong(self, out: &mut Vec<u8>) {
        match self {
            Self::Floor => {}
            Self::Native => frame::write(out, b"{}"),
            Self::Socketio => frame::write(out, b"3"),
        }
    }

    /// Reads all that a message says, in order.
    pub fn read(
        self,
        text: &[u8],
        reader: &Reader,
        place: &mut usize,
        mut heard: impl FnMut(Heard<'_>) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Floor => heard(floor(text, reader, place)?),
            Self::Native => {
                // A server may put several replies and pushes into one message, divided by line feeds.
                let mut lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                lines.try_for_each(|line| match line.strip_prefix(b"{\"id\":2,") {
                    Some(_) => joined(line, reader, &mut heard),
                    None => heard(native(line, reader, place)?),
                })
            }
            Self::Socketio => heard(socketio(text, reader, place)?),
        }
    }
}

fn floor(text: &[u8], reader: &Reader, place: &mut usize) -> Result<Heard<'static>> {
    match text.first() {
        Some(b'{') => delivery(text, reader, place),
        Some(b'j') => Ok(Heard::Joined(Standing::default())),
        Some(b'a') => done(&text[1..]),
        _ => unexpected(text),
    }
}

fn native(line: &[u8], reader: &Reader, place: &mut usize) -> Result<Heard<'static>> {
    if line.starts_with(b"{\"push\"") {
        return delivery(line, reader, place);
    }
    if line == b"{}" {
        return Ok(Heard::Ping);
    }
    if let Some(at) = memchr::memmem::find(line, b"\"error\":{\"code\":") {
        let code = line[at..].split(|byte| *byte == b':').nth(2).map(done);
        return match (line.strip_prefix(b"{\"id\":").map(done), code) {
            (Some(Ok(Heard::Done(number))), Some(Ok(Heard::Done(code)))) if number >= FIRST => {
                Ok(Heard::Refused(number, code))
            }
            _ => unexpected(line),
        };
    }
    if memchr::memmem::find(line, b"\"error\"").is_some() {
        return unexpected(line);
    }
    match line.strip_prefix(b"{\"id\":").map(done) {
        Some(Ok(Heard::Done(HELLO))) => Ok(Heard::Welcome),
        Some(done) => done,
        None => unexpected(line),
    }
}

/// The answer to entering a room: what was missed stands in it, in order.
fn joined(line: &[u8], reader: &Reader, heard: &mut impl FnMut(Heard<'_>) -> Result<()>) -> Result<()> {
    #[derive(Deserialize)]
    struct Reply<'a> {
        #[serde(borrow)]
        subscribe: Option<Standing<'a>>,
    }
    let reply: Reply<'_> = serde_json::from_slice(line).context("the answer to a join is no JSON")?;
    let Some(standing) = reply.subscribe else { return unexpected(line) };
    reader.all(line).try_for_each(|stamp| heard(Heard::Delivery(stamp)))?;
    heard(Heard::Joined(standing))
}

fn socketio(text: &[u8], reader: &Reader, place: &mut usize) -> Result<Heard<'static>> {
    match text {
        [b'0', ..] => Ok(Heard::Open),
        [b'2'] => Ok(Heard::Ping),
        [b'4', b'0', ..] => Ok(Heard::Welcome),
        [b'4', b'2', ..] => delivery(text, reader, place),
        [b'4', b'3', rest @ ..] if memchr::memmem::find(rest, b"\"ok\":true").is_some() => match done(rest)? {
            Heard::Done(JOIN) => Ok(Heard::Joined(Standing::default())),
            done => Ok(done),
        },
        _ => unexpected(text),
    }
}

fn delivery(text: &[u8], reader: &Reader, place: &mut usize) -> Result<Heard<'static>> {
    match reader.read(text, place) {
        Some(stamp) => Ok(Heard::Delivery(stamp)),
        None => unexpected(text),
    }
}

/// The number at the beginning.
fn done(text: &[u8]) -> Result<Heard<'static>> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match body::number(&text[..digits]).map(u32::try_from) {
        Some(Ok(number)) if digits > 0 => Ok(Heard::Done(number)),
        _ => unexpected(text),
    }
}

fn unexpected<T>(text: &[u8]) -> Result<T> {
    let text = String::from_utf8_lossy(text);
    bail!("the server said what was not expected: {}", text.chars().take(300).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was heard, as it prints itself: an answer may borrow from the text.
    fn heard(dialect: Dialect, text: &str) -> Result<Vec<String>> {
        let mut all = Vec::new();
        dialect.read(text.as_bytes(), &Reader::default(), &mut 0, |one| {
            all.push(format!("{one:?}"));
            Ok(())
        })?;
        Ok(all)
    }

    fn shown<const N: usize>(all: [Heard<'_>; N]) -> Vec<String> {
        all.iter().map(|one| format!("{one:?}")).collect()
    }

    #[test]
    fn replies_and_deliveries_are_told_apart() {
        let stamp = Stamp { room: 3, number: 9, sent: 1 };
        let mut body = Vec::new();
        body::write(&mut body, stamp);
        let body = String::from_utf8(body).unwrap();
        let native = format!("{{\"id\":7,\"publish\":{{}}}}\n{{\"push\":{{\"pub\":{{\"data\":{body}}}}}}}\n{{}}");
        let all = [Heard::Done(7), Heard::Delivery(stamp), Heard::Ping];
        assert_eq!(heard(Dialect::Native, &native).unwrap(), shown(all));
        assert_eq!(heard(Dialect::Native, r#"{"id":1,"connect":{}}"#).unwrap(), shown([Heard::Welcome]));
        assert_eq!(heard(Dialect::Floor, &body).unwrap(), shown([Heard::Delivery(stamp)]));
        assert_eq!(heard(Dialect::Floor, "a12").unwrap(), shown([Heard::Done(12)]));
        let event = format!(r#"42["event",{{"body":{body}}}]"#);
        assert_eq!(heard(Dialect::Socketio, &event).unwrap(), shown([Heard::Delivery(stamp)]));
        let joined = Heard::Joined(Standing::default());
        assert_eq!(heard(Dialect::Socketio, r#"432[{"ok":true}]"#).unwrap(), shown([joined]));
    }

    #[test]
    fn who_comes_back_names_a_place_and_hears_in_the_answer_what_was_missed() {
        let mut asked = Vec::new();
        Dialect::Native.join(&mut asked, 7, Some(Place { epoch: "e1", offset: 41 }));
        let asked: Vec<u8> = asked[6..].iter().enumerate().map(|(n, byte)| byte ^ frame::KEY[n % 4]).collect();
        let join = r#"{"id":2,"subscribe":{"channel":"bench:7","recover":true,"epoch":"e1","offset":41}}"#;
        assert_eq!(String::from_utf8(asked).unwrap(), join);

        let stamps = [41, 42].map(|number| Stamp { room: 7, number, sent: 1 });
        let missed = stamps.map(|stamp| {
            let mut body = br#"{"data":"#.to_vec();
            body::write(&mut body, stamp);
            String::from_utf8(body).unwrap() + r#","offset":1,"tags":{"epoch":"not this one"}}"#
        });
        let missed = missed.join(",");
        let reply = format!(r#"{{"id":2,"subscribe":{{"publications":[{missed}],"epoch":"e1","recovered":true}}}}"#);
        let [first, second] = stamps.map(Heard::Delivery);
        let joined = Heard::Joined(Standing { epoch: Some("e1"), recovered: true });
        assert_eq!(heard(Dialect::Native, &reply).unwrap(), shown([first, second, joined]));
        assert!(heard(Dialect::Native, r#"{"id":2,"error":{"code":112,"message":"unrecoverable"}}"#).is_err());
    }

    #[test]
    fn a_refused_message_is_told_apart_and_any_other_refusal_fails_the_run() {
        let refused = |id| heard(Dialect::Native, &format!(r#"{{"id":{id},"error":{{"code":103,"message":"no"}}}}"#));
        assert_eq!(refused(7).unwrap(), shown([Heard::Refused(7, 103)]));
        assert!(refused(HELLO).is_err() && refused(JOIN).is_err());
        assert!(heard(Dialect::Socketio, r#"433[{"ok":false,"error":{"code":103}}]"#).is_err());
        assert!(heard(Dialect::Socketio, "44{}").is_err());
        assert!(heard(Dialect::Floor, "x").is_err());
    }
}
