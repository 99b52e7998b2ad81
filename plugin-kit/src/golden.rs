//! Golden cases: events in, verdicts out, in a file that plugins in every language can share (`golden.toml`).
//!
//! Text that stands for JSON (`body`, `info`, `details`) is given as TOML, or as a string of JSON text where every byte counts.

mod compare;
mod read;

pub use compare::{Difference, compare};

use crate::settings::to_json;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The cases of a file.
#[derive(Clone, Debug)]
pub struct Golden {
    /// The file.
    pub file: PathBuf,
    /// Its cases, in order.
    pub cases: Vec<Case>,
}

/// One case: a plugin with certain settings, asked about one event or several.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it claims.
    pub name: String,
    /// The line of the file where it is named, from 1.
    pub line: usize,
    /// The plugin's settings.
    pub settings: toml::Table,
    /// Why the plugin should refuse the settings: a part of what it says. Such a case has no steps.
    pub settings_error: Option<String>,
    /// The events, in order. The plugin remembers from one to the next what it keeps through `kv`.
    pub steps: Vec<Step>,
    /// What other servers answer.
    pub http: Vec<Recorded>,
}

/// One event, and what should be said of it.
#[derive(Clone, Debug)]
pub struct Step {
    /// How much time goes by before it.
    pub pass: Duration,
    /// What happens.
    pub event: EventCase,
    /// What should be said of it.
    pub expect: Expect,
}

/// An event. What is not said is as in `testing::event` of the SDK: a message of `ada` in the room `test`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventCase {
    /// The room.
    pub room: Option<String>,
    /// Who does it.
    pub sender: Option<String>,
    /// `send`, `edit`, `delete`, `react`, `unreact`, `join`, `leave` or `typing`.
    pub kind: Option<String>,
    /// The client's key.
    pub key: Option<String>,
    /// When, in milliseconds since 1970.
    pub at: Option<u64>,
    /// The body; given as `text`, it is an object with that text.
    pub body: Option<toml::Value>,
    /// What a person said.
    pub text: Option<String>,
    /// The event that it acts on.
    pub target: Option<String>,
    /// The thread.
    pub thread: Option<String>,
    /// What plugins before this one added: `plugin.name` and any value.
    pub annotations: BTreeMap<String, toml::Value>,
    /// The sender's roles.
    pub roles: Vec<String>,
    /// The session.
    pub client: Option<String>,
    /// What the sender's token says should be shown of them.
    pub info: Option<toml::Value>,
    /// How many plugins' own messages led to it.
    pub hops: u32,
}

/// What should be said of an event. What is not given is not compared.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// `accept`, `replace`, `reject`, `hold`, or `fault`.
    pub verdict: Option<String>,
    /// The `text` of the body afterwards.
    pub text: Option<String>,
    /// The body afterwards.
    pub body: Option<toml::Value>,
    /// A refusal's code.
    pub code: Option<u16>,
    /// Why it is refused, held, or failed.
    pub reason: Option<String>,
    /// A refusal's details.
    pub details: Option<toml::Value>,
    /// All annotations, without the plugin's name before them.
    pub annotations: Option<BTreeMap<String, toml::Value>>,
    /// All effects, in order: `{ notice = "…" }`, `{ mute = { seconds = 60, reason = "…" } }`, `{ flag = "…" }`.
    pub effects: Option<Vec<toml::Value>>,
    /// All messages of the plugin's own, in order: `{ text = "…" }`, or `{ body = …, room = "…", thread = "…" }`.
    pub emits: Option<Vec<toml::Value>>,
}

/// What another server answers to a request for this address.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The address, exactly.
    pub url: String,
    /// The status.
    #[serde(default = "ok")]
    pub status: u16,
    /// Header fields.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub body: String,
}

fn ok() -> u16 {
    200
}

/// What a plugin said of an event, as cases and people see it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Outcome {
    /// `accept`, `replace`, `reject`, `hold`, or `fault`.
    pub verdict: String,
    /// The body that listeners would get, as JSON text; none where nothing is let through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// A refusal's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// Why it is refused, held, or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A refusal's details.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// What was added.
    pub annotations: BTreeMap<String, Value>,
    /// What happens besides, as cases write it.
    pub effects: Vec<Value>,
    /// The plugin's own messages, as cases write them.
    pub emits: Vec<Value>,
}

impl Outcome {
    /// The `text` of the body, if there is one.
    pub fn text(&self) -> Option<String> {
        let body: Value = serde_json::from_str(self.body.as_deref()?).ok()?;
        Some(body.get("text")?.as_str()?.to_owned())
    }
}

/// The JSON text that a value of a case stands for: a string is that text, byte for byte.
pub fn json_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => to_json(other).to_string(),
    }
}
