//! Events of front ends that exist: what they emit goes into a room, and they hear the room in the way they know.

use crate::outbox::Frame;
use confab_config::{Part, Shape, SocketIoEvent};
use confab_protocol::{Body, Key, Kind, Record};
use serde_json::{Map, Value, json};
use std::fmt;

/// The events that `hub.toml` maps.
#[derive(Default, PartialEq, Eq)]
pub struct Mapping(Vec<SocketIoEvent>);

/// What an emitted event means.
#[derive(Debug, PartialEq, Eq)]
pub struct Inward {
    /// The arguments of the verb `send`, or why it has no such meaning.
    pub send: Result<Body, String>,
    /// The client's own name for the message.
    pub key: Option<Key>,
}

impl Mapping {
    /// The mapping of a hub.
    pub fn new(events: &[SocketIoEvent]) -> Self {
        Self(events.to_vec())
    }

    /// The rooms that clients enter when they connect.
    pub fn rooms(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|event| event.room.as_str())
    }

    /// What an emitted event means; `None` if it is not mapped.
    ///
    /// Its first argument is what is said. A string after it is the client's own name for the message, as Socket.IO's
    /// tutorial has it: under it the client tries again. Whatever else comes is passed over, as servers of the field do.
    pub fn inward(&self, name: &str, arguments: &[Body]) -> Option<Inward> {
        let event = self.0.iter().find(|event| event.on == name)?;
        let read = |at: usize| arguments.get(at).and_then(|argument| argument.read::<Value>().ok());
        let named = read(1).and_then(|second| second.as_str().filter(|name| !name.is_empty()).map(Key::new));
        let key = match named.transpose() {
            Ok(key) => key,
            Err(error) => {
                return Some(Inward { send: Err(format!("names the message by what is no key: {error}")), key: None });
            }
        };
        let send = match read(0).and_then(|value| text_in(event, value)) {
            Some(text) => Ok(Body::of(&json!({ "room": event.room, "key": key, "body": { "text": text } }))),
            None => Err(match (event.shape, event.text_field()) {
                (Shape::Text, _) | (_, None) => "takes a string".to_owned(),
                (_, Some(field)) => format!("takes an object with a string in `{field}`"),
            }),
        };
        Some(Inward { send, key })
    }

    /// The event as listeners of its room know it; empty if they know nothing like it: they show texts, and nothing that
    /// is none may pass for one.
    pub fn outward(&self, record: &Record) -> Frame {
        let room = record.event.room.as_str();
        let mapped = self.0.iter().find(|event| event.room == room && record.event.kind == Kind::Message);
        let Some(event) = mapped else { return Frame::Text(Default::default()) };
        let shows_text = event.shape == Shape::Text || event.fields.values().any(|part| *part == Part::Text);
        if shows_text && record.event.body.text_here().is_none() {
            return Frame::Text(Default::default());
        }
        let argument = match event.shape {
            Shape::Text => part(Part::Text, record),
            Shape::Object => object(event, record),
            Shape::Json => Value::String(object(event, record).to_string()),
        };
        format!("42{}", json!([event.emit, argument])).into()
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|event| &event.on)).finish()
    }
}

fn text_in(event: &SocketIoEvent, argument: Value) -> Option<String> {
    let argument = match (event.shape, argument) {
        (Shape::Text, Value::String(text)) => return Some(text),
        (Shape::Text, argument @ (Value::Number(_) | Value::Bool(_))) => return Some(argument.to_string()),
        (Shape::Text, _) => return None,
        (Shape::Json, Value::String(text)) => serde_json::from_str(&text).ok()?,
        (_, argument) => argument,
    };
    Some(argument.get(event.text_field()?)?.as_str()?.to_owned())
}

fn object(event: &SocketIoEvent, record: &Record) -> Value {
    Value::Object(event.fields.iter().map(|(field, what)| (field.clone(), part(*what, record))).collect::<Map<_, _>>())
}

fn part(part: Part, record: &Record) -> Value {
    let event = &record.event;
    match part {
        Part::Text => event.body.text().into(),
        Part::User => event.sender.user.as_str().into(),
        Part::Id => event.id.to_string().into(),
        Part::At => event.at.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(shape: Shape) -> Mapping {
        let [on, room, emit] = ["event:message", "lobby", "message"].map(str::to_owned);
        Mapping(vec![SocketIoEvent { on, room, emit, shape, ..SocketIoEvent::default() }])
    }

    fn inward(shape: Shape, arguments: &[&str]) -> Inward {
        let arguments: Vec<Body> = arguments.iter().map(|text| Body::parse(*text).unwrap()).collect();
        mapping(shape).inward("event:message", &arguments).unwrap()
    }

    fn said(key: Option<&str>) -> Inward {
        let send = json!({ "room": "lobby", "key": key, "body": { "text": "hi" } });
        Inward { send: Ok(Body::of(&send)), key: key.map(|key| Key::new(key).unwrap()) }
    }

    #[test]
    fn what_a_front_end_emits_is_said_in_its_room() {
        assert_eq!(inward(Shape::Json, &[r#"{"message":"hi"}"#]), said(None));
        assert_eq!(inward(Shape::Json, &[r#""{\"message\":\"hi\"}""#]), said(None));
        assert_eq!(inward(Shape::Object, &[r#"{"message":"hi"}"#]), said(None));
        assert_eq!(inward(Shape::Text, &[r#""hi""#]), said(None));
        assert!(inward(Shape::Object, &[r#"{"message":1}"#]).send.is_err());
        assert!(inward(Shape::Text, &[r#"{"message":"hi"}"#]).send.is_err());
        assert!(inward(Shape::Text, &[]).send.is_err());
        assert!(inward(Shape::Text, &["17"]).send.is_ok(), "what a page would show is text");
        assert!(mapping(Shape::Text).inward("event:other", &[]).is_none());
    }

    #[test]
    fn a_string_behind_it_names_the_message_and_what_else_comes_is_passed_over() {
        assert_eq!(inward(Shape::Text, &[r#""hi""#, r#""a1-0""#]), said(Some("a1-0")));
        assert_eq!(inward(Shape::Object, &[r#"{"message":"hi"}"#, r#""a1-0""#, "true", "[]"]), said(Some("a1-0")));
        for no_name in ["null", "7", r#""""#, r#"{"id":"a"}"#] {
            assert_eq!(inward(Shape::Text, &[r#""hi""#, no_name]), said(None), "{no_name}");
        }
        let long = format!("\"{}\"", "x".repeat(200));
        assert!(inward(Shape::Text, &[r#""hi""#, &long]).send.is_err(), "tried again it would be said twice");
    }
}
