//! Compares what a plugin said with what a case expects.

use super::{Expect, Outcome, json_text};
use crate::settings::to_json;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

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
    let list = |list: &[Value]| list.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
    if let Some(effects) = &expect.effects {
        let expected: Vec<Value> = effects.iter().map(to_json).collect();
        if !same(&expected, &outcome.effects) {
            differ("effects", format!("[{}]", list(&expected)), format!("[{}]", list(&outcome.effects)));
        }
    }
    if let Some(emits) = &expect.emits {
        let expected: Vec<Value> = emits.iter().map(emit).collect();
        differ("emits", format!("[{}]", list(&expected)), format!("[{}]", list(&outcome.emits)));
    }
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

/// A message of the plugin's own as outcomes write it: `{ text = "…" }` is short for its body.
fn emit(value: &toml::Value) -> Value {
    let mut message = to_json(value);
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
        assert_eq!(differences(""), []);
        assert_eq!(differences(r#"body = '{"text":"buy ****", "n":1.00}'"#), []);
        assert_eq!(differences(r#"effects = [{ mute = { seconds = 60, reason = "enough" } }]"#), []);
    }

    #[test]
    fn what_is_other_than_expected_is_told_with_both_sides() {
        assert_eq!(differences("verdict = 'accept'"), [("verdict", "accept".into(), "replace".into())]);
        assert_eq!(differences("text = 'x'"), [("text", "\"x\"".into(), "\"buy ****\"".into())]);
        assert_eq!(differences("code = 460"), [("code", "460".into(), "nothing".into())]);
        assert_eq!(differences("effects = []")[0].0, "effects");
        assert_eq!(differences("effects = [{ mute = 61 }]")[0].0, "effects");
        assert_eq!(differences("annotations = {}")[0].2, r#"{"found":["spam"]}"#);
        // Byte for byte where it is given as text.
        assert_eq!(differences(r#"body = '{"text":"buy ****", "n":1.0}'"#)[0].0, "body");
    }
}
