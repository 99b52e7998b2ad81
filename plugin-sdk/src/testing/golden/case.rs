//! What `golden.toml` says: events in, verdicts out.

use crate::settings::Span;
use crate::{Context, Event, Kind, testing};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The cases, each by itself.
    pub case: Vec<Case>,
}

/// One configuration of the plugin, and one or several events that it judges.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case claims, in a sentence.
    pub name: String,
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// A part of why the plugin should refuse the settings. Such a case has no event.
    pub settings_error: Option<String>,
    /// What servers answer.
    #[cfg_attr(not(feature = "http"), allow(dead_code, reason = "nobody can ask"))]
    #[serde(default)]
    pub http: Vec<Answer>,
    /// The only event, where there are no steps …
    event: Option<Said>,
    /// … and what should come of it.
    expect: Option<Expected>,
    /// Several events, one after the other.
    #[serde(default)]
    steps: Vec<Step>,
}

impl Case {
    /// The events in their order; an error if the case has none, or both forms at once.
    pub fn steps(self) -> Result<Vec<Step>, String> {
        match (self.event, self.expect, self.steps) {
            (Some(event), Some(expect), steps) if steps.is_empty() => Ok(vec![Step { event, expect, pass: None }]),
            (None, None, steps) if !steps.is_empty() => Ok(steps),
            _ => Err("a case has either `event` and `expect`, or `steps`".into()),
        }
    }
}

/// One event of several.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub event: Said,
    pub expect: Expected,
    /// How much time goes by before it.
    pub pass: Option<Span>,
}

/// A recorded answer of a server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "nobody can ask"))]
pub struct Answer {
    pub url: String,
    #[serde(default = "ok")]
    pub status: u16,
    #[serde(default)]
    pub headers: Map<String, Value>,
    #[serde(default)]
    pub body: String,
}

fn ok() -> u16 {
    200
}

/// The event and its circumstances; what is not given is as in [`testing::event`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    room: Option<String>,
    sender: Option<String>,
    kind: Option<Act>,
    key: Option<String>,
    at: Option<u64>,
    body: Option<Value>,
    text: Option<String>,
    target: Option<String>,
    thread: Option<String>,
    #[serde(default)]
    annotations: Map<String, Value>,
    #[serde(default)]
    roles: Vec<String>,
    client: Option<String>,
    info: Option<Value>,
    #[serde(default)]
    hops: u32,
}

/// A [`Kind`] by its name.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Act {
    Send,
    Edit,
    Delete,
    React,
    Unreact,
    Join,
    Leave,
    Typing,
}

impl From<Act> for Kind {
    fn from(act: Act) -> Self {
        match act {
            Act::Send => Self::Send,
            Act::Edit => Self::Edit,
            Act::Delete => Self::Delete,
            Act::React => Self::React,
            Act::Unreact => Self::Unreact,
            Act::Join => Self::Join,
            Act::Leave => Self::Leave,
            Act::Typing => Self::Typing,
        }
    }
}

impl Said {
    /// What the plugin is asked, so many milliseconds after the case began.
    pub fn ask(self, passed_ms: u64) -> (Event, Context) {
        let mut event = testing::event("");
        let body = match (self.body, &self.text) {
            (Some(body), _) => json(&body),
            (None, Some(text)) => serde_json::json!({ "text": text }),
            (None, None) => Value::Null,
        };
        event.text = self.text.or_else(|| body.get("text").and_then(Value::as_str).map(str::to_owned));
        event.body = body.to_string();
        event.room = self.room.unwrap_or(event.room);
        event.sender = self.sender.unwrap_or(event.sender);
        event.key = self.key.unwrap_or(event.key);
        event.at = self.at.unwrap_or(event.at + passed_ms);
        event.kind = self.kind.map_or(event.kind, Kind::from);
        event.target = self.target;
        event.thread = self.thread;
        event.annotations = self.annotations.into_iter().map(|(name, value)| (name, value.to_string())).collect();
        let info = self.info.map(|info| json(&info).to_string());
        (event, Context { client: self.client, info, roles: self.roles, hops: self.hops, facts: Vec::new() })
    }
}

/// The JSON that a value stands for where a file may give it as a string of JSON text.
pub fn json(value: &Value) -> Value {
    let text = value.as_str();
    text.map_or_else(
        || value.clone(),
        |text| text.parse().unwrap_or_else(|error| panic!("{text:?} is not JSON: {error}")),
    )
}

/// What should come of an event. What is not given is not compared, but for the effects: a notice that nobody expected is
/// a mistake.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// `accept`, `replace`, `reject` or `hold`.
    pub verdict: Option<String>,
    /// The `text` of the body after it.
    pub text: Option<String>,
    /// The body after it.
    pub body: Option<Value>,
    /// A refusal's code.
    pub code: Option<u16>,
    /// A refusal's or a hold's reason.
    pub reason: Option<String>,
    /// A refusal's details.
    pub details: Option<Value>,
    /// All annotations that it adds.
    pub annotations: Option<Map<String, Value>>,
    /// All effects, such as `{ notice = "…" }`, `{ mute = { seconds = 60, reason = "…" } }` and `{ flag = "…" }`.
    #[serde(default)]
    pub effects: Vec<Value>,
    /// All that it says besides, such as `{ text = "…" }` and `{ room = "log", body = { … } }`.
    #[serde(default)]
    pub emits: Vec<Value>,
}
