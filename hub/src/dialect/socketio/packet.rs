//! Socket.IO packets: `<type>[<attachments>-][<namespace>,][<ack id>][JSON]`, each in an Engine.IO message.

use crate::outbox::Frame;
use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

/// What a packet does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Enter a namespace.
    Connect,
    /// Leave it.
    Disconnect,
    /// Something happens.
    Event,
    /// An answer to an event.
    Ack,
    /// The namespace cannot be entered.
    ConnectError,
}

/// It does not follow the protocol.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The first character is no packet type.
    #[error("packet has an unknown type")]
    Type,
    /// Its attachments are not counted, or too many, or it has none and is binary.
    #[error("packet has a malformed number of attachments")]
    Attachments,
    /// Bytes came that no packet announced, or text where bytes were announced.
    #[error("packet and attachments do not follow each other")]
    Order,
    /// Its data is not what its type asks for.
    #[error("packet has malformed data")]
    Data,
}

/// A packet with its attachments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What it does.
    pub kind: Kind,
    /// Where; `/` is the main namespace.
    pub namespace: String,
    /// The number by which its acknowledgement is found.
    pub ack: Option<u64>,
    /// JSON, or nothing. An event has an array that begins with its name, an acknowledgement an array.
    pub data: String,
    /// What its placeholders stand for.
    pub attachments: Vec<Bytes>,
    /// Its attachments were more than may be, and were left out.
    pub cut: bool,
}

impl Packet {
    /// A packet without attachments.
    pub fn new(kind: Kind, namespace: &str, ack: Option<u64>, data: impl Into<String>) -> Self {
        Self { kind, namespace: namespace.to_owned(), ack, data: data.into(), attachments: Vec::new(), cut: false }
    }

    /// Reads a packet's text; with how many attachments follow it.
    pub fn parse(text: &str) -> Result<(Self, usize), Malformed> {
        let mut rest = text;
        let digit = take(&mut rest, 1).ok_or(Malformed::Type)?;
        let (kind, binary) = match digit {
            "0" => (Kind::Connect, false),
            "1" => (Kind::Disconnect, false),
            "2" => (Kind::Event, false),
            "3" => (Kind::Ack, false),
            "4" => (Kind::ConnectError, false),
            "5" => (Kind::Event, true),
            "6" => (Kind::Ack, true),
            _ => return Err(Malformed::Type),
        };
        let mut attachments = 0;
        if binary {
            let (count, after) = rest.split_once('-').ok_or(Malformed::Attachments)?;
            attachments = number(count).ok_or(Malformed::Attachments)?;
            rest = after;
        }
        let mut namespace = "/";
        if rest.starts_with('/') {
            let end = rest.find(',').unwrap_or(rest.len());
            namespace = &rest[..end];
            rest = rest[end..].strip_prefix(',').unwrap_or_default();
        }
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let ack = take(&mut rest, digits).filter(|digits| !digits.is_empty());
        let ack = ack.map(|digits| number(digits).unwrap_or(u64::MAX)); // one that nobody can have: it is no breach
        check(kind, rest)?;
        let attachments = usize::try_from(attachments).map_err(|_| Malformed::Attachments)?;
        Ok((Self::new(kind, namespace, ack, rest), attachments))
    }

    /// Writes it as Engine.IO messages: its text, and a frame for each attachment.
    pub fn frames(&self) -> Vec<Frame> {
        let digit = match (self.kind, self.attachments.is_empty()) {
            (Kind::Connect, _) => '0',
            (Kind::Disconnect, _) => '1',
            (Kind::Event, true) => '2',
            (Kind::Ack, true) => '3',
            (Kind::ConnectError, _) => '4',
            (Kind::Event, false) => '5',
            (Kind::Ack, false) => '6',
        };
        let mut text = String::with_capacity(self.data.len() + self.namespace.len() + 16);
        text.push('4');
        text.push(digit);
        if !self.attachments.is_empty() {
            text.push_str(&format!("{}-", self.attachments.len()));
        }
        if self.namespace != "/" {
            text.push_str(&self.namespace);
            text.push(',');
        }
        if let Some(ack) = self.ack {
            text.push_str(&ack.to_string());
        }
        text.push_str(&self.data);
        let attachments = self.attachments.iter().cloned().map(Frame::Binary);
        std::iter::once(Frame::from(text)).chain(attachments).collect()
    }

    /// An event's name and its arguments, or an acknowledgement's arguments after an empty name. A name that is a number is
    /// its digits.
    pub fn arguments(&self) -> Result<(String, Vec<Box<RawValue>>), Malformed> {
        let mut values: Vec<Box<RawValue>> = serde_json::from_str(&self.data).map_err(|_| Malformed::Data)?;
        if self.kind != Kind::Event {
            return Ok((String::new(), values));
        }
        if values.is_empty() {
            return Err(Malformed::Data);
        }
        match serde_json::from_str(values.remove(0).get()) {
            Ok(Value::String(name)) => Ok((name, values)),
            Ok(Value::Number(name)) => Ok((name.to_string(), values)),
            _ => Err(Malformed::Data),
        }
    }
}

fn take<'a>(rest: &mut &'a str, length: usize) -> Option<&'a str> {
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}

fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn check(kind: Kind, data: &str) -> Result<(), Malformed> {
    let begins = |with: char| data.starts_with(with) && serde_json::from_str::<&RawValue>(data).is_ok();
    let fits = match kind {
        Kind::Connect => data.is_empty() || begins('{'),
        Kind::Disconnect => data.is_empty(),
        Kind::Event | Kind::Ack => begins('['),
        Kind::ConnectError => begins('{') || begins('"'), // only a server says that, and the reference lets it pass
    };
    if fits { Ok(()) } else { Err(Malformed::Data) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Packet {
        Packet::parse(text).unwrap().0
    }

    #[test]
    fn the_protocols_own_examples_are_read() {
        assert_eq!(parse("0"), Packet::new(Kind::Connect, "/", None, ""));
        assert_eq!(parse(r#"0/admin,{"token":"x"}"#), Packet::new(Kind::Connect, "/admin", None, r#"{"token":"x"}"#));
        assert_eq!(parse("0/custom"), Packet::new(Kind::Connect, "/custom", None, ""));
        assert_eq!(parse("1/custom"), Packet::new(Kind::Disconnect, "/custom", None, ""));
        assert_eq!(parse(r#"212["foo"]"#), Packet::new(Kind::Event, "/", Some(12), r#"["foo"]"#));
        assert_eq!(parse(r#"3/admin,13["bar"]"#), Packet::new(Kind::Ack, "/admin", Some(13), r#"["bar"]"#));
        let (packet, attachments) = Packet::parse(r#"52-/a,7["b",{"_placeholder":true,"num":0}]"#).unwrap();
        assert_eq!((packet.kind, packet.namespace.as_str(), packet.ack, attachments), (Kind::Event, "/a", Some(7), 2));
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        for bad in [
            "",
            "abc",
            "7[]",
            "2{}",
            "2",
            r#"2abc["m",1]"#,
            r#"2["m""#,
            r#"2["m"]x"#,
            "5[]",
            "5x-[]",
            "5-[]",
            "599999999999999999999-[]",
            "0[]",
            "1{}",
            "4[1]",
            "\u{1f600}",
        ] {
            assert!(Packet::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_packet_is_written_as_it_is_read() {
        for text in [r#"4/admin,{"message":"x"}"#, r#"2/a,12["b",{"c":[1]}]"#, "0", "1/a,"] {
            let kind = match &text[..1] {
                "4" => Packet::new(Kind::ConnectError, "/admin", None, r#"{"message":"x"}"#),
                _ => parse(text),
            };
            assert_eq!(kind.frames(), [Frame::from(format!("4{text}"))]);
        }
    }
}
