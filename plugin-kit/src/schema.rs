//! Checks settings against a JSON Schema: the part of it that settings need.
//!
//! Known are `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`, and the bounds of numbers,
//! text and arrays. A schema with another keyword that would refuse something is refused itself when the plugin is built
//! ([`unknown`]), so that nobody believes in a check that is not made.

use serde_json::Value;
use std::fmt;

/// Keywords that are checked.
const CHECKED: [&str; 16] = [
    "type",
    "enum",
    "const",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
];

/// Keywords that say something to people and refuse nothing.
const WORDS: [&str; 9] =
    ["$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated", "format"];

/// One step from the settings' table down to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a table.
    Key(String),
    /// Into an array, from 0.
    Index(usize),
}

/// A value that the schema does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The way to it.
    pub path: Vec<Step>,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => path.extend([".", key]),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        if path.is_empty() { f.write_str(&self.message) } else { write!(f, "`{path}`: {}", self.message) }
    }
}

/// Everything in the settings that the schema does not allow.
pub fn violations(schema: &Value, settings: &Value) -> Vec<Violation> {
    let mut found = Vec::new();
    check(schema, settings, &mut Vec::new(), &mut found);
    found
}

/// The keywords of a schema that are not checked and that are no mere words, each once.
pub fn unknown(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect_unknown(schema, &mut found);
    found.sort();
    found.dedup();
    found
}

fn collect_unknown(schema: &Value, found: &mut Vec<String>) {
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        match keyword.as_str() {
            "properties" => {
                value.as_object().into_iter().flatten().for_each(|(_, below)| collect_unknown(below, found))
            }
            "items" | "additionalProperties" => collect_unknown(value, found),
            known if CHECKED.contains(&known) || WORDS.contains(&known) => {}
            other => found.push(other.to_owned()),
        }
    }
}

fn check(schema: &Value, value: &Value, path: &mut Vec<Step>, found: &mut Vec<Violation>) {
    let mut wrong = |message: String| found.push(Violation { path: path.clone(), message });
    if *schema == Value::Bool(false) {
        return wrong("nothing is allowed here".into());
    }
    if !of_type(&schema["type"], value) {
        return wrong(format!("expected {}, found {}", types(&schema["type"]), kind(value)));
    }
    if let Some(words) = schema["enum"].as_array().filter(|words| !words.contains(value)) {
        let words: Vec<String> = words.iter().map(Value::to_string).collect();
        wrong(format!("expected {}, found {value}", words.join(" or ")));
    }
    if let Some(only) = schema.get("const").filter(|only| *only != value) {
        wrong(format!("expected {only}, found {value}"));
    }
    match value {
        Value::Number(_) => number(schema, value, &mut wrong),
        Value::String(text) => {
            length(schema, ["minLength", "maxLength"], text.chars().count(), "characters", &mut wrong)
        }
        Value::Array(list) => {
            length(schema, ["minItems", "maxItems"], list.len(), "values", &mut wrong);
            let twice = list.iter().enumerate().find(|(at, item)| list[..*at].contains(item));
            if let (Some(true), Some((_, item))) = (schema["uniqueItems"].as_bool(), twice) {
                wrong(format!("{item} stands twice in it"));
            }
            for (at, item) in list.iter().enumerate().filter(|_| schema.get("items").is_some()) {
                below(&schema["items"], item, Step::Index(at), path, found);
            }
        }
        Value::Object(table) => {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !table.contains_key(name) {
                    wrong(format!("`{name}` is missing"));
                }
            }
            for (key, item) in table {
                match (schema["properties"].get(key), &schema["additionalProperties"]) {
                    (Some(known), _) => below(known, item, Step::Key(key.clone()), path, found),
                    (None, Value::Bool(false)) => {
                        let mut path = path.clone();
                        path.push(Step::Key(key.clone()));
                        found.push(Violation { path, message: "there is no such setting".into() });
                    }
                    (None, Value::Null) => {}
                    (None, other) => below(other, item, Step::Key(key.clone()), path, found),
                }
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn below(schema: &Value, value: &Value, step: Step, path: &mut Vec<Step>, found: &mut Vec<Violation>) {
    path.push(step);
    check(schema, value, path, found);
    path.pop();
}

/// A keyword, whether a number keeps to it, and how that is said.
type Bound = (&'static str, fn(f64, f64) -> bool, &'static str);

fn number(schema: &Value, value: &Value, wrong: &mut impl FnMut(String)) {
    let Some(found) = value.as_f64() else { return };
    let bounds: [Bound; 4] = [
        ("minimum", |found, bound| found >= bound, "at least"),
        ("maximum", |found, bound| found <= bound, "at most"),
        ("exclusiveMinimum", |found, bound| found > bound, "more than"),
        ("exclusiveMaximum", |found, bound| found < bound, "less than"),
    ];
    for (keyword, holds, words) in bounds {
        if let Some(bound) = schema[keyword].as_f64().filter(|bound| !holds(found, *bound)) {
            wrong(format!("expected {words} {bound}, found {value}"));
        }
    }
}

fn length(schema: &Value, keywords: [&str; 2], found: usize, what: &str, wrong: &mut impl FnMut(String)) {
    let [least, most] = keywords.map(|keyword| schema[keyword].as_u64());
    if let Some(least) = least.filter(|least| (found as u64) < *least) {
        wrong(format!("expected at least {least} {what}, found {found}"));
    }
    if let Some(most) = most.filter(|most| found as u64 > *most) {
        wrong(format!("expected at most {most} {what}, found {found}"));
    }
}

/// Whether a value is of a type, or of one of several; any value is where no type is said.
fn of_type(wanted: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        other => kind(value) == other,
    };
    match wanted {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

fn types(wanted: &Value) -> String {
    match wanted {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        other => other.as_str().unwrap_or("any value").to_owned(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["words"],
            "properties": {
                "words": { "type": "array", "items": { "type": "string", "minLength": 1 }, "uniqueItems": true, "maxItems": 3 },
                "code": { "type": "integer", "minimum": 400, "maximum": 1999 },
                "share": { "type": "number", "exclusiveMinimum": 0 },
                "action": { "enum": ["mask", "reject"] },
                "by_room": { "type": "object", "additionalProperties": { "type": "integer" } },
            },
        })
    }

    fn found(settings: Value) -> Vec<String> {
        violations(&schema(), &settings).iter().map(Violation::to_string).collect()
    }

    #[test]
    fn settings_that_the_schema_allows_have_no_violation() {
        let good = json!({ "words": ["a"], "code": 400, "share": 0.5, "action": "mask", "by_room": { "a": 1 } });
        assert_eq!(found(good), [""; 0]);
        assert_eq!(found(json!({ "words": [], "share": 1 })), [""; 0]);
    }

    #[test]
    fn a_violation_names_the_setting_and_what_is_wrong() {
        assert_eq!(found(json!({})), ["`words` is missing"]);
        assert_eq!(found(json!({ "words": ["a", 7] })), ["`words[1]`: expected string, found integer"]);
        assert_eq!(found(json!({ "words": [""] })), ["`words[0]`: expected at least 1 characters, found 0"]);
        assert_eq!(found(json!({ "words": ["a", "a"] })), ["`words`: \"a\" stands twice in it"]);
        assert_eq!(found(json!({ "words": ["a", "b", "c", "d"] })), ["`words`: expected at most 3 values, found 4"]);
        assert_eq!(found(json!({ "words": [], "code": 1 })), ["`code`: expected at least 400, found 1"]);
        assert_eq!(found(json!({ "words": [], "code": 2.5 })), ["`code`: expected integer, found number"]);
        assert_eq!(found(json!({ "words": [], "share": 0 })), ["`share`: expected more than 0, found 0"]);
        assert_eq!(
            found(json!({ "words": [], "action": "x" })),
            ["`action`: expected \"mask\" or \"reject\", found \"x\""]
        );
        assert_eq!(found(json!({ "words": [], "wrods": 1 })), ["`wrods`: there is no such setting"]);
        assert_eq!(
            found(json!({ "words": [], "by_room": { "a": "b" } })),
            ["`by_room.a`: expected integer, found string"]
        );
    }

    #[test]
    fn a_keyword_that_is_not_checked_is_named() {
        assert_eq!(unknown(&schema()), [""; 0]);
        let more = json!({ "properties": { "a": { "pattern": "x", "description": "y" } }, "oneOf": [] });
        assert_eq!(unknown(&more), ["oneOf", "pattern"]);
    }
}
