//! Compares what a plugin said with what a case expects.

use super::case::{Expect, json_text, to_json};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

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

/// One thing that is other than expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What, such as `text`.
    pub what: &'static str,
    /// What the case expects.
    pub expected: String,
    /// What was found.
    pub found: String,
}

/// Everything that is other than expected; empty if the case passes.
pub fn compare(expect: &Expect, outcome: &Outcome) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut differ = |what, expected: String, actual: String| {
        if expected != actual {
            found.push(Difference { what, expected, found: actual });
        }
    };
    let nothing = || "nothing".to_owned();
    if let Some(verdict) = &expect.verdict {
        // What went wrong is most of what a wrong verdict can tell.
        let why = outcome.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        if *verdict != outcome.verdict {
            differ("verdict", verdict.clone(), format!("{}{why}", outcome.verdict));
        }
    }
    if let Some(text) = &expect.text {
        differ("text", format!("{text:?}"), outcome.text().map_or_else(nothing, |text| format!("{text:?}")));
    }
    if let Some(body) = &expect.body {
        differ(
            "body",
            body_of(body, &json_text(body)),
            outcome.body.as_ref().map_or_else(nothing, |text| body_of(body, text)),
        );
    }
    if let Some(code) = expect.code {
        differ("code", code.to_string(), outcome.code.map_or_else(nothing, |code| code.to_string()));
    }
    if let Some(reason) = &expect.reason {
        differ("reason", reason.clone(), outcome.reason.clone().unwrap_or_else(nothing));
    }
    if let Some(details) = &expect.details {
        let expected = serde_json::from_str(&json_text(details)).unwrap_or(Value::Null);
        differ("details", expected.to_string(), outcome.details.as_ref().map_or_else(nothing, Value::to_string));
    }
    if let Some(annotations) = &expect.annotations {
        let expected: BTreeMap<&String, Value> =
            annotations.iter().map(|(name, value)| (name, to_json(value))).collect();
        differ("annotations", json!(expected).to_string(), json!(outcome.annotations).to_string());
    }
    let list = |list: &[Value]| format!("[{}]", list.iter().map(Value::to_string).collect::<Vec<_>>().join(", "));
    let expected: Vec<Value> = expect.effects.iter().map(to_json).collect();
    if !same(&expected, &outcome.effects) {
        differ("effects", list(&expected), list(&outcome.effects));
    }
    let expected: Vec<Value> = expect.emits.iter().map(|said| emit(to_json(said))).collect();
    let said: Vec<Value> = outcome.emits.iter().cloned().map(emit).collect();
    differ("emits", list(&expected), list(&said));
    found
}

/// A body, byte for byte where the case gives it as text; else whatever way it is written.
fn body_of(expected: &toml::Value, text: &str) -> String {
    match expected {
        toml::Value::String(_) => text.to_owned(),
        _ => serde_json::from_str::<Value>(text).map_or_else(|_| text.to_owned(), |value| value.to_string()),
    }
}

/// The same effects; a mute may be given as its seconds alone.
fn same(expected: &[Value], found: &[Value]) -> bool {
    expected.len() == found.len()
        && expected.iter().zip(found).all(|(expected, found)| {
            expected == found || (expected["mute"].is_u64() && expected["mute"] == found["mute"]["seconds"])
        })
}

/// A message of the plugin's own with its whole body: `{ text = "…" }` is short for one, and a string is JSON text.
fn emit(mut message: Value) -> Value {
    if let Some(table) = message.as_object_mut() {
        if let Some(text) = table.remove("text") {
            table.insert("body".into(), json!({ "text": text }));
        } else if let Some(body) = table.get_mut("body")
            && let Some(read) = body.as_str().and_then(|text| serde_json::from_str(text).ok())
        {
            *body = read;
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(text: &str) -> Expect {
        toml::from_str(text).unwrap()
    }

    fn outcome() -> Outcome {
        Outcome {
            verdict: "replace".into(),
            body: Some(r#"{"text":"buy ****", "n":1.00}"#.into()),
            annotations: [("found".to_owned(), json!(["spam"]))].into(),
            effects: vec![json!({ "mute": { "seconds": 60, "reason": "enough" } })],
            emits: vec![json!({ "body": { "text": "hello" } })],
            ..Outcome::default()
        }
    }

    /// What the outcome has and every case must therefore expect.
    const BESIDES: &str = "effects = [{ mute = 60 }]\nemits = [{ text = \"hello\" }]\n";

    fn differences(text: &str) -> Vec<(&'static str, String, String)> {
        let found = compare(&expect(text), &outcome());
        found.into_iter().map(|Difference { what, expected, found }| (what, expected, found)).collect()
    }

    #[test]
    fn what_is_as_expected_or_not_given_is_no_difference() {
        let all = r#"
            verdict = "replace"
            text = "buy ****"
            body = { text = "buy ****", n = 1.0 }
            annotations = { found = ["spam"] }
            effects = [{ mute = 60 }]
            emits = [{ text = "hello" }]
        "#;
        assert_eq!(differences(all), []);
        assert_eq!(differences(BESIDES), []);
        assert_eq!(differences(&format!("{BESIDES}body = '{{\"text\":\"buy ****\", \"n\":1.00}}'")), []);
        let whole = r#"effects = [{ mute = { seconds = 60, reason = "enough" } }]"#;
        assert_eq!(differences(&BESIDES.replace("effects = [{ mute = 60 }]", whole)), []);
    }

    #[test]
    fn what_is_other_than_expected_is_told_with_both_sides() {
        let first = |text: &str| differences(&format!("{BESIDES}{text}")).into_iter().next();
        assert_eq!(first("verdict = 'accept'"), Some(("verdict", "accept".into(), "replace".into())));
        assert_eq!(first("text = 'x'"), Some(("text", "\"x\"".into(), "\"buy ****\"".into())));
        assert_eq!(first("code = 460"), Some(("code", "460".into(), "nothing".into())));
        assert_eq!(first("annotations = {}").unwrap().2, r#"{"found":["spam"]}"#);
        // Byte for byte where it is given as text.
        assert_eq!(first(r#"body = '{"text":"buy ****", "n":1.0}'"#).unwrap().0, "body");
        assert_eq!(differences(&BESIDES.replace("60", "61"))[0].0, "effects");
    }

    #[test]
    fn what_happens_besides_and_is_not_expected_is_a_difference() {
        let what: Vec<&str> = differences("verdict = 'replace'").into_iter().map(|(what, ..)| what).collect();
        assert_eq!(what, ["effects", "emits"]);
    }
}
