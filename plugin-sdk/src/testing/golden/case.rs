//! What `golden.toml` says: events in, verdicts out.
//!
//! `confab plugin test` takes this very file, and `compare.rs` beside it, so that a case means the same natively and in the
//! hub's sandbox. Text that stands for JSON (`body`, `info`, `details`) is given as TOML, or as a string of JSON text where
//! every byte counts.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;

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
    /// What other servers answer, and nothing else may be asked.
    pub http: Vec<Recorded>,
}

/// One event, and what should be said of it.
#[derive(Clone, Debug)]
pub struct Step {
    /// How much time goes by before it: the clock, and what expires, follow.
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

/// What should be said of an event. What is not given is not compared, but for effects and the plugin's own messages: a notice
/// that nobody expected is a mistake.
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
    /// All effects, in order: `{ notice = "…" }`, `{ mute = { seconds = 60, reason = "…" } }` or only `{ mute = 60 }`,
    /// `{ flag = "…" }`.
    pub effects: Vec<toml::Value>,
    /// All messages of the plugin's own, in order: `{ text = "…" }`, or `{ body = …, room = "…", thread = "…" }`.
    pub emits: Vec<toml::Value>,
}

/// What another server answers to a request for this address.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recorded {
    /// The address, exactly.
    pub url: String,
    /// The status.
    pub status: u16,
    /// Header fields.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
    /// Why there is no answer at all.
    pub error: Option<Failing>,
}

impl Default for Recorded {
    fn default() -> Self {
        Self { url: String::new(), status: 200, headers: BTreeMap::new(), body: String::new(), error: None }
    }
}

/// Why a server does not answer, by the contract's names for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failing {
    /// It cannot be reached.
    Unavailable,
    /// It takes too long.
    Timeout,
    /// The plugin may not ask it.
    Forbidden,
    /// It answers too much.
    TooLarge,
}

/// Why a file of cases cannot be used.
#[derive(Debug)]
pub enum Wrong {
    /// It is not written as TOML, or has words that no case knows.
    Toml(toml::de::Error),
    /// A case makes no sense.
    Case {
        /// The place in the file's text.
        span: Range<usize>,
        /// What is wrong.
        message: String,
        /// What to do.
        help: String,
    },
    /// There is none.
    Empty,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    case: Vec<RawCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCase {
    name: Spanned<String>,
    #[serde(default)]
    settings: toml::Table,
    settings_error: Option<String>,
    event: Option<EventCase>,
    expect: Option<Expect>,
    steps: Option<Vec<RawStep>>,
    #[serde(default)]
    http: Vec<Recorded>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    pass: Option<String>,
    #[serde(default)]
    event: EventCase,
    expect: Expect,
}

/// Reads the text of a file of cases.
pub fn parse(text: &str) -> Result<Vec<Case>, Wrong> {
    let read: File = toml::from_str(text).map_err(Wrong::Toml)?;
    if read.case.is_empty() {
        return Err(Wrong::Empty);
    }
    read.case.into_iter().map(|case| one(text, case)).collect()
}

fn one(text: &str, raw: RawCase) -> Result<Case, Wrong> {
    let span = raw.name.span();
    let wrong = |(message, help)| Wrong::Case { span: span.clone(), message, help };
    let line = 1 + text.get(..span.start).unwrap_or_default().matches('\n').count();
    let single = raw.event.is_some() || raw.expect.is_some();
    let steps = match (raw.steps, raw.expect, &raw.settings_error) {
        (None, None, Some(_)) if !single => Vec::new(),
        (None, Some(expect), None) => {
            vec![Step { pass: Duration::ZERO, event: raw.event.unwrap_or_default(), expect }]
        }
        (Some(steps), None, None) if !single && !steps.is_empty() => {
            let step = |step: RawStep| {
                Ok(Step {
                    pass: step.pass.map_or(Ok(Duration::ZERO), |pass| span_of(&pass))?,
                    event: step.event,
                    expect: step.expect,
                })
            };
            steps.into_iter().map(step).collect::<Result<_, _>>().map_err(wrong)?
        }
        _ => {
            let help = "give it `event` and `expect`, or `steps`, or `settings_error`, and only one of the three";
            return Err(wrong(("this case does not say what should happen".into(), help.into())));
        }
    };
    steps.iter().try_for_each(check).and_then(|()| raw.http.iter().try_for_each(check_address)).map_err(wrong)?;
    Ok(Case {
        name: raw.name.into_inner(),
        line,
        settings: raw.settings,
        settings_error: raw.settings_error,
        steps,
        http: raw.http,
    })
}

/// What is wrong, and what to do.
type Advice = (String, String);

/// What serde cannot see: words out of a list, and text that should be JSON.
fn check(step: &Step) -> Result<(), Advice> {
    const VERDICTS: [&str; 5] = ["accept", "replace", "reject", "hold", "fault"];
    const KINDS: [&str; 8] = ["send", "edit", "delete", "react", "unreact", "join", "leave", "typing"];
    let known = |what: &str, word: &Option<String>, list: &[&str]| match word {
        Some(word) if !list.contains(&word.as_str()) => {
            Err((format!("there is no {what} {word:?}"), format!("it is one of {}", list.join(", "))))
        }
        _ => Ok(()),
    };
    known("verdict", &step.expect.verdict, &VERDICTS)?;
    known("kind", &step.event.kind, &KINDS)?;
    if step.event.text.is_some() && step.event.body.is_some() {
        return Err((
            "an event has `text` or `body`, not both".into(),
            "the text of a body is its member `text`".into(),
        ));
    }
    let texts = [&step.event.body, &step.event.info, &step.expect.body, &step.expect.details];
    for value in texts.into_iter().flatten() {
        let text = json_text(value);
        if let Err(error) = serde_json::from_str::<Value>(&text) {
            let help = "a string here is JSON text; for a JSON string write '\"like this\"', for an object a table";
            return Err((format!("{text:?} is not JSON: {error}"), help.into()));
        }
    }
    Ok(())
}

fn check_address(answer: &Recorded) -> Result<(), Advice> {
    let whole = ["https://", "http://"].iter().filter_map(|scheme| answer.url.strip_prefix(scheme));
    if whole.clone().any(|rest| !rest.is_empty()) {
        return Ok(());
    }
    Err((format!("{:?} is no address", answer.url), "`url` is a whole one: https://host.example/page".into()))
}

/// A length of time, such as `61s`.
fn span_of(text: &str) -> Result<Duration, Advice> {
    let (number, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    let factor = units.iter().find(|(known, _)| *known == unit).map(|(_, factor)| *factor);
    let ms = factor.and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor));
    ms.map(Duration::from_millis).ok_or_else(|| {
        let help = "write a whole number and ms, s, m, h or d, as in \"10s\"";
        (format!("{text:?} is no length of time"), help.into())
    })
}

/// The JSON text that a value of a case stands for: a string is that text, byte for byte.
pub fn json_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => to_json(other).to_string(),
    }
}

/// A TOML value as JSON. A date, which JSON does not have, becomes a string.
pub fn to_json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(is) => (*is).into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(list) => list.iter().map(to_json).collect(),
        toml::Value::Table(table) => {
            table.iter().map(|(key, value)| (key.clone(), to_json(value))).collect::<serde_json::Map<_, _>>().into()
        }
    }
}
