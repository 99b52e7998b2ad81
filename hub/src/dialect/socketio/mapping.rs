//! Events of front ends that exist: what they emit goes into a room, and they hear the room in the way they know.

use crate::outbox::Frame;
use confab_config::{Part, Shape, SocketIoEvent};
use confab_protocol::{Body, Kind, Record};
use serde_json::{Map, Value, json};
use std::fmt;

/// The events that `hub.toml` maps.
#[derive(Default, PartialEq, Eq)]
pub struct Mapping(Vec<SocketIoEvent>);

impl Mapping {
    /// The mapping of a hub.
    pub fn new(events: &[SocketIoEvent]) -> Self {
        Self(events.to_vec())
    }

    /// The rooms that clients enter when they connect.
    pub fn rooms(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|event| event.room.as_str())
    }

    /// What an emitted event means as arguments of `send`; `None` if it is not mapped.
    pub fn inward(&self, name: &str, argument: Option<&Body>) -> Option<Result<Body, String>> {
        let event = self.0.iter().find(|event| event.on == name)?;
        let text = argument.and_then(|argument| argument.read::<Value>().ok()).and_then(|value| text_in(event, value));
        Some(match text {
            Some(text) => Ok(Body::of(&json!({ "room": event.room, "body": { "text": text } }))),
            None => Err(match (event.shape, event.text_field()) {
                (Shape::Text, _) | (_, None) => "takes a string".to_owned(),
                (_, Some(field)) => format!("takes an object with a string in `{field}`"),
            }),
        })
    }

    /// The event as listeners of its room know it; empty if they know nothing like it.
    pub fn outward(&self, record: &Record) -> Frame {
        let room = record.event.room.as_str();
        let mapped = self.0.iter().find(|event| event.room == room && record.event.kind == Kind::Message);
        let Some(event) = mapped else { return Frame::Text(Default::default()) };
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
        // A body that is no text is shown as its JSON: better than nothing in its place.
        Part::Text => event.body.text().unwrap_or_else(|| event.body.as_str().to_owned()).into(),
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

    #[test]
    fn what_a_front_end_emits_is_said_in_its_room() {
        let said =
            |shape, text: &str| mapping(shape).inward("event:message", Some(&Body::parse(text).unwrap())).unwrap();
        let send = Body::of(&json!({ "room": "lobby", "body": { "text": "hi" } }));
        assert_eq!(said(Shape::Json, r#"{"message":"hi"}"#), Ok(send.clone()));
        assert_eq!(said(Shape::Json, r#""{\"message\":\"hi\"}""#), Ok(send.clone()));
        assert_eq!(said(Shape::Object, r#"{"message":"hi"}"#), Ok(send.clone()));
        assert_eq!(said(Shape::Text, r#""hi""#), Ok(send));
        assert!(said(Shape::Object, r#"{"message":1}"#).is_err());
        assert!(said(Shape::Text, r#"{"message":"hi"}"#).is_err());
        assert!(mapping(Shape::Text).inward("event:other", None).is_none());
    }
}
