//! Events for plugins to judge, as golden cases write them.

use crate::plugin::{EventContext, Origin};
use confab_config::JudgedKind;
use confab_plugin_kit::golden::{EventCase, json_text};
use confab_plugin_kit::settings::to_json;
use confab_protocol::{Body, Event, EventId, Key, Kind, Room, Sender, UserId};
use std::time::Duration;

/// When golden cases happen, unless they say, in milliseconds since 1970.
pub(super) const AT: u64 = 1_700_000_000_000;

/// An event with its context.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub event: Event,
    pub kind: JudgedKind,
    pub origin: Origin,
}

impl Asked {
    /// The event of a case, `passed` after its first one.
    pub fn of(case: &EventCase, passed: Duration) -> Result<Self, String> {
        let (kind, judged) = match case.kind.as_deref().unwrap_or("send") {
            "send" => (Kind::Message, JudgedKind::Send),
            "edit" => (Kind::Edit, JudgedKind::Edit),
            "delete" => (Kind::Delete, JudgedKind::Delete),
            "react" => (Kind::Reaction, JudgedKind::React),
            "unreact" => (Kind::Unreaction, JudgedKind::React),
            // What takes no place in a room has no kind of its own there.
            "join" => (Kind::Message, JudgedKind::Join),
            "leave" => (Kind::Message, JudgedKind::Leave),
            "typing" => (Kind::Message, JudgedKind::Typing),
            other => return Err(format!("there is no kind {other:?}")),
        };
        let id = |what: &str, text: &Option<String>| match text {
            Some(text) => text.parse::<EventId>().map(Some).map_err(|_| format!("`{what}`: {text:?} is no event's id")),
            None => Ok(None),
        };
        let json =
            |what: &str, text: String| Body::parse(text).map_err(|error| format!("`{what}` is not JSON: {error}"));
        let annotations = case.annotations.iter().map(|(name, value)| (name.clone(), Body::of(&to_json(value))));
        let event = Event {
            kind,
            id: id("id", &Some("01890000-0000-7000-8000-000000000001".into()))?.unwrap_or_else(EventId::fresh),
            room: Room::new(case.room.as_deref().unwrap_or("test")).map_err(|error| format!("`room`: {error}"))?,
            sender: Sender {
                user: UserId::new(case.sender.as_deref().unwrap_or("ada"))
                    .map_err(|error| format!("`sender`: {error}"))?,
                client: case.client.clone(),
                info: case.info.as_ref().map(|info| json("info", json_text(info))).transpose()?,
            },
            key: Key::new(case.key.as_deref().unwrap_or("key-1")).map_err(|error| format!("`key`: {error}"))?,
            digest: String::new(),
            at: case.at.unwrap_or(AT) + u64::try_from(passed.as_millis()).unwrap_or(u64::MAX / 2),
            body: match (&case.body, &case.text) {
                (Some(body), _) => json("body", json_text(body))?,
                (None, Some(text)) => Body::of(&serde_json::json!({ "text": text })),
                (None, None) => Body::null(),
            },
            target: id("target", &case.target)?,
            thread: id("thread", &case.thread)?,
            annotations: annotations.collect(),
        };
        Ok(Self {
            event,
            kind: judged,
            origin: Origin { roles: case.roles.clone().into(), hops: case.hops, ..Origin::default() },
        })
    }

    /// The event, and its context.
    pub fn apart(self) -> (Event, EventContext) {
        (self.event, EventContext { kind: self.kind, origin: self.origin })
    }
}
