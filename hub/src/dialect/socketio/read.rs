//! From packets to commands.

use super::assemble::{Assembler, Bounds};
use super::mapping::{Inward, Mapping};
use super::packet::{Kind, Malformed, Packet};
use crate::dialect::command::{Command, NO_ANSWER, Numbered, Since, Wish, nullable};
use crate::outbox::Frame;
use confab_protocol::{Body, Epoch, Refusal};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// The most attachments that are read before the packet is refused: no verb takes any.
const ATTACHMENTS_MAX: usize = 16;
/// The number that a session gives its answer to a connect.
const CONNECT: u32 = 0;

/// Reads one session's packets.
#[derive(Debug)]
pub struct Reader {
    assembler: Assembler,
    mapping: Arc<Mapping>,
}

#[derive(Deserialize)]
struct AuthIn {
    token: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JoinIn {
    room: String,
    since: Option<SinceIn>,
    #[serde(default, deserialize_with = "nullable")]
    token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SinceIn {
    epoch: Option<Epoch>,
    offset: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoomIn {
    room: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefreshIn {
    token: String,
}

impl Reader {
    /// A reader at the beginning of a session; attachments are at most `bytes` together.
    pub fn new(bytes: usize, mapping: Arc<Mapping>) -> Self {
        Self { assembler: Assembler::new(Bounds { attachments: ATTACHMENTS_MAX, bytes }), mapping }
    }

    /// Reads a frame; a packet that is whole with it is a command.
    pub fn read(&mut self, frame: &Frame) -> Result<Vec<Numbered>, Malformed> {
        let Some(packet) = self.assembler.take(frame)? else { return Ok(Vec::new()) };
        if packet.namespace != "/" {
            return Ok(foreign(&packet));
        }
        let one = |number, command| Ok(vec![Numbered { number, command }]);
        match packet.kind {
            Kind::Connect => {
                let mut commands = vec![Numbered { number: Some(CONNECT), command: connect(&packet)? }];
                let listen = |room: &str| Numbered { number: None, command: Command::Listen { room: room.to_owned() } };
                commands.extend(self.mapping.rooms().map(listen));
                Ok(commands)
            }
            Kind::Disconnect => one(None, Command::Goodbye),
            Kind::Event => {
                let number = match packet.ack.map(u32::try_from) {
                    None => None,
                    Some(Ok(number)) if number != NO_ANSWER => Some(number),
                    Some(_) => {
                        let refusal = Refusal::BadRequest("the number of the acknowledgement is too large".into());
                        return one(None, Command::Refused(refusal));
                    }
                };
                one(number, event(&packet, &self.mapping)?)
            }
            Kind::Ack | Kind::ConnectError => Ok(Vec::new()), // nothing of ours asks for one, and only a server says the other
        }
    }
}

/// There is one namespace. Who asks for another is told, and whatever else it says there goes nowhere.
fn foreign(packet: &Packet) -> Vec<Numbered> {
    if packet.kind != Kind::Connect {
        tracing::debug!(namespace = packet.namespace, "a packet for a namespace that is not connected");
        return Vec::new();
    }
    let error = Packet::new(Kind::ConnectError, &packet.namespace, None, r#"{"message":"Invalid namespace"}"#);
    error.frames().into_iter().map(|frame| Numbered { number: None, command: Command::Answered(frame) }).collect()
}

fn connect(packet: &Packet) -> Result<Command, Malformed> {
    if packet.data.is_empty() {
        return Ok(Command::Connect { token: String::new(), data: None, subs: Vec::new() });
    }
    let data = Body::parse(packet.data.as_str()).map_err(|_| Malformed::Data)?;
    let AuthIn { token } = data.read().map_err(|_| Malformed::Data)?;
    let token = match token {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(token)) => token,
        Some(other) => other.to_string(), // whatever it is, it is no valid token
    };
    Ok(Command::Connect { token, data: Some(data), subs: Vec::new() })
}

fn event(packet: &Packet, mapping: &Mapping) -> Result<Command, Malformed> {
    let (name, arguments) = packet.arguments()?;
    let refused = |what: &str| Ok(Command::Refused(Refusal::BadRequest(format!("`{name}` {what}").into())));
    if packet.cut {
        return refused("came with more bytes than may be");
    }
    if !packet.attachments.is_empty() {
        return refused("came with bytes: only JSON is kept");
    }
    let arguments = arguments.into_iter().map(|one| Body::parse(one.get())).collect::<Result<Vec<_>, _>>();
    let mut arguments = arguments.map_err(|_| Malformed::Data)?;
    if let Some(Inward { send, key }) = mapping.inward(&name, &arguments) {
        let send = send.map_err(|why| Refusal::BadRequest(format!("`{name}` {why}").into()));
        return Ok(Command::Mapped { event: name, send, key });
    }
    if arguments.len() > 1 {
        return refused("takes one argument");
    }
    let data = arguments.pop();
    let read = match name.as_str() {
        "join" => arguments_of(data.as_ref()).map(|JoinIn { room, since, token }| {
            let since = since.map(|since| Since { epoch: since.epoch, offset: since.offset });
            Command::Subscribe { room, wish: Wish { since, token, ..Wish::default() } }
        }),
        "leave" => arguments_of(data.as_ref()).map(|RoomIn { room }| Command::Unsubscribe { room }),
        "presence" => arguments_of(data.as_ref()).map(|RoomIn { room }| Command::Presence { room }),
        "presence_stats" => arguments_of(data.as_ref()).map(|RoomIn { room }| Command::PresenceStats { room }),
        "refresh" => arguments_of(data.as_ref()).map(|RefreshIn { token }| Command::Refresh { token }),
        _ => return Ok(Command::Rpc { method: name, data }),
    };
    read.or_else(|error| refused(&error))
}

fn arguments_of<'a, T: Deserialize<'a>>(data: Option<&'a Body>) -> Result<T, String> {
    data.ok_or("needs an argument")?.read().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use confab_protocol::{SOCKET_IO_COMMANDS, VerbName};

    /// What the check of settings keeps from being mapped, so that nothing shadows it.
    #[test]
    fn whatever_is_called_is_a_verb_unless_it_is_one_of_the_commands() {
        for name in SOCKET_IO_COMMANDS {
            let (_, command) = one(&format!(r#"2["{name}",{{"room":"lobby","token":"t"}}]"#));
            assert!(!matches!(command, Command::Rpc { .. }), "{name}");
        }
        for verb in VerbName::ALL {
            let (_, command) = one(&format!(r#"2["{}",{{}}]"#, verb.as_str()));
            assert!(matches!(command, Command::Rpc { method, .. } if method == verb.as_str()));
        }
    }

    fn reader() -> Reader {
        Reader::new(100, Arc::new(Mapping::default()))
    }

    fn read(text: &str) -> Vec<Numbered> {
        reader().read(&format!("4{text}").into()).unwrap()
    }

    fn one(text: &str) -> (Option<u32>, Command) {
        let mut commands = read(text);
        assert_eq!(commands.len(), 1, "{text}");
        let Numbered { number, command } = commands.remove(0);
        (number, command)
    }

    #[test]
    fn verbs_are_events_and_their_acks_are_numbered() {
        let since = Some(Since { epoch: Some(Epoch(3)), offset: 7 });
        let join = r#"25["join",{"room":"a","since":{"epoch":"0000000000000003","offset":7}}]"#;
        let wish = Wish { since, ..Wish::default() };
        assert_eq!(one(join), (Some(5), Command::Subscribe { room: "a".into(), wish }));
        assert_eq!(one(r#"20["leave",{"room":"a"}]"#), (Some(0), Command::Unsubscribe { room: "a".into() }));
        let data = Some(Body::parse(r#"{"room":"a","body":1}"#).unwrap());
        let send = Command::Rpc { method: "send".into(), data };
        assert_eq!(one(r#"2["send",{"room":"a","body":1}]"#), (None, send));
        assert_eq!(one(r#"2["members"]"#), (None, Command::Rpc { method: "members".into(), data: None }));
    }

    #[test]
    fn a_verb_that_cannot_be_read_is_refused_and_the_session_stays() {
        for bad in [r#"21["join"]"#, r#"21["join",{"rom":"a"}]"#, r#"21["join",1]"#, r#"21["send",1,2]"#] {
            assert!(matches!(one(bad), (Some(1), Command::Refused(Refusal::BadRequest(_)))), "{bad}");
        }
    }

    #[test]
    fn a_member_that_is_null_is_as_if_it_were_not_there() {
        let nulls = r#"21["join",{"room":"a","since":null,"token":null}]"#;
        assert_eq!(one(nulls), one(r#"21["join",{"room":"a"}]"#));
        assert_eq!(one(r#"0{"token":null,"user":"ada"}"#).0, Some(CONNECT));
    }

    #[test]
    fn there_is_one_namespace() {
        let (_, command) = one("0/random");
        assert_eq!(command, Command::Answered(r#"44/random,{"message":"Invalid namespace"}"#.to_owned().into()));
        assert!(read(r#"2/random,["send",{}]"#).is_empty());
    }

    #[test]
    fn a_malformed_packet_ends_the_session() {
        for bad in ["2{}", "abc", "2[]", "2[null]", "2[[1]]", "0[]"] {
            assert!(reader().read(&format!("4{bad}").into()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_that_is_null_is_none_and_one_that_is_no_text_is_not_valid() {
        let token = |auth: &str| match one(&format!("0{auth}")) {
            (_, Command::Connect { token, .. }) => token,
            other => panic!("{other:?}"),
        };
        assert_eq!((token(r#"{"token":null}"#), token("{}"), token("")), Default::default());
        assert_eq!((token(r#"{"token":"t"}"#), token(r#"{"token":17}"#)), ("t".into(), "17".into()));
        let join = Command::Subscribe { room: "a".into(), wish: Wish::default() };
        assert_eq!(one(r#"21["join",{"room":"a","since":null,"token":null}]"#), (Some(1), join));
    }

    #[test]
    fn what_is_odd_and_does_no_harm_is_passed_over_or_refused() {
        assert_eq!(one("21[7]"), (Some(1), Command::Rpc { method: "7".into(), data: None }));
        for odd in [r#"24294967295["send"]"#, r#"299999999999999999999["send"]"#] {
            assert!(matches!(one(odd), (None, Command::Refused(Refusal::BadRequest(_)))), "{odd}");
        }
        for odd in ["3[1]", "37[1]", r#"4{"message":"no"}"#, r#"4"no""#] {
            assert!(read(odd).is_empty(), "{odd}");
        }
    }
}
