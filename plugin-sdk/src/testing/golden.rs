//! Golden cases: `golden.toml` says which events come in and what should come of each, and [`check`] holds a plugin to it,
//! natively. The same file is run against the component, so that both say the same.
//!
//! For a plugin's `[dev-dependencies]`: the feature `golden`.

mod case;
mod schema;

use crate::{Context, Decision, Effect, Event, Plugin, Verdict, testing};
use case::{Case, Expected, File};
use schemars::JsonSchema;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

/// Holds a plugin to the files of its folder (`env!("CARGO_MANIFEST_DIR")`): its golden cases come out as `golden.toml` says,
/// `settings.schema.json` is the schema of its settings, `plugin.toml` names it, and the README's example of hub.toml is one that
/// it takes and the README tells of every setting. With `CONFAB_BLESS=1` the schema is written.
///
/// # Panics
/// Where one of the files does not say the truth; the message lists everything that is wrong.
pub fn check<P: Plugin>(folder: &str)
where
    P::Settings: JsonSchema,
{
    let folder = Path::new(folder);
    let read =
        |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_else(|e| panic!("could not read {name}: {e}"));
    let schema = schema::of::<P::Settings>();
    if std::env::var_os("CONFAB_BLESS").is_some() {
        let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
        fs::write(folder.join("settings.schema.json"), text).expect("the schema can be written");
    }
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut wrong = cases::<P>(&read("golden.toml"));
    wrong.extend(manifest(name, &read("plugin.toml")));
    wrong.extend(readme::<P>(name, &schema, &read("README.md")));
    if serde_json::from_str::<Value>(&read("settings.schema.json")).ok() != Some(schema) {
        wrong.push("settings.schema.json is not the schema of the settings: CONFAB_BLESS=1 rewrites it".into());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs the golden cases of a file's text, and tells of each that comes out otherwise.
pub fn cases<P: Plugin>(text: &str) -> Vec<String> {
    let file: File = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => return vec![format!("golden.toml: {error}")],
    };
    // What a plugin remembers natively lies in the thread's memory: a thread a case keeps them apart.
    let run = |case: Case| {
        let name = case.name.clone();
        let result = std::thread::scope(|scope| scope.spawn(|| run::<P>(case)).join());
        let said = result.unwrap_or_else(|_| vec!["it panicked".into()]);
        said.into_iter().map(move |wrong| format!("case {name:?}: {wrong}")).collect::<Vec<_>>()
    };
    file.case.into_iter().flat_map(run).collect()
}

/// Everything that comes out otherwise in one case.
fn run<P: Plugin>(case: Case) -> Vec<String> {
    let plugin = match (testing::configure::<P>(&Value::Object(case.settings.clone())), &case.settings_error) {
        (Ok(plugin), None) => plugin,
        (Err(error), Some(part)) if error.contains(part) => return Vec::new(),
        (Err(error), _) => return vec![format!("the plugin refuses its settings: {error}")],
        (Ok(_), Some(_)) => return vec!["the plugin takes its settings".into()],
    };
    record(&case);
    let steps = match case.steps() {
        Ok(steps) => steps,
        Err(wrong) => return vec![wrong],
    };
    let (mut passed, mut wrong) = (0, Vec::new());
    for (n, step) in (1..).zip(steps) {
        if let Some(time) = step.pass {
            passed += time.as_ms();
            pass(time.as_ms(), passed);
        }
        let (event, context) = step.event.ask(passed);
        wrong.extend(
            judge(&plugin, &event, &context, &step.expect).into_iter().map(|wrong| format!("step {n}: {wrong}")),
        );
    }
    wrong
}

/// Lets time go by, for the capabilities that know of it.
#[cfg_attr(not(all(feature = "kv", feature = "clock")), allow(unused_variables))]
fn pass(more_ms: u64, all_ms: u64) {
    #[cfg(feature = "kv")]
    crate::kv::pass(more_ms);
    #[cfg(feature = "clock")]
    crate::clock::set(testing::event("").at + all_ms);
}

/// Says what servers answer.
#[cfg_attr(not(feature = "http"), allow(unused_variables))]
fn record(case: &Case) {
    #[cfg(feature = "http")]
    for answer in &case.http {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let headers = answer.headers.iter().map(|(name, value)| (name.to_lowercase(), text(value))).collect();
        let body = answer.body.clone().into_bytes();
        crate::http::answer(&answer.url, Ok(crate::http::Response { status: answer.status, headers, body }));
    }
}

/// What was said besides, as golden.toml writes it.
fn emitted() -> Vec<Value> {
    #[cfg(feature = "emit")]
    return crate::emit::emitted()
        .into_iter()
        .map(|message| {
            let body = message.body.parse::<Value>().unwrap_or(Value::String(message.body));
            let mut said = match body.as_object().and_then(|body| body.get("text")) {
                Some(text) if body.as_object().is_some_and(|body| body.len() == 1) => json!({ "text": text }),
                _ => json!({ "body": body }),
            };
            for (name, value) in [("room", message.room), ("thread", message.thread)] {
                if let Some(value) = value {
                    said[name] = value.into();
                }
            }
            said
        })
        .collect();
    #[cfg(not(feature = "emit"))]
    Vec::new()
}

/// Judges one event and tells of each difference.
fn judge<P: Plugin>(plugin: &P, event: &Event, context: &Context, expect: &Expected) -> Vec<String> {
    let verdict = plugin.judge(event, context);
    let seen = Seen::of(event, verdict);
    let mut wrong = Vec::new();
    let mut compare = |what: &str, expected: Option<Value>, found: Value| {
        if expected.is_some_and(|expected| expected != found) {
            wrong.push(format!("{what} is {found}"));
        }
    };
    compare("verdict", expect.verdict.clone().map(Value::from), seen.verdict.into());
    compare("text", expect.text.clone().map(Value::from), seen.body["text"].clone());
    compare("body", expect.body.as_ref().map(case::json), seen.body);
    compare("code", expect.code.map(Value::from), seen.code);
    compare("reason", expect.reason.clone().map(Value::from), seen.reason);
    compare("details", expect.details.as_ref().map(case::json), seen.details);
    compare("annotations", expect.annotations.clone().map(Value::from), seen.annotations.into());
    compare("effects", Some(expect.effects.clone().into()), seen.effects.into());
    compare("emits", Some(expect.emits.clone().into()), emitted().into());
    wrong
}

/// A verdict as golden.toml writes it.
struct Seen {
    verdict: &'static str,
    body: Value,
    code: Value,
    reason: Value,
    details: Value,
    annotations: Map<String, Value>,
    effects: Vec<Value>,
}

impl Seen {
    fn of(event: &Event, verdict: Verdict) -> Self {
        let json = |text: &str| text.parse::<Value>().unwrap_or_else(|_| Value::String(format!("no JSON: {text}")));
        let (mut code, mut reason, mut details) = (Value::Null, Value::Null, Value::Null);
        let (name, body, annotations) = match verdict.decision {
            Decision::Accept(annotations) => ("accept", json(&event.body), annotations),
            Decision::Replace(replacement) => ("replace", json(&replacement.body), replacement.annotations),
            Decision::Reject(rejection) => {
                (code, reason) = (rejection.code.into(), rejection.reason.into());
                details = rejection.details.as_deref().map_or(Value::Null, json);
                ("reject", Value::Null, Vec::new())
            }
            Decision::Hold(why) => {
                reason = why.into();
                ("hold", Value::Null, Vec::new())
            }
        };
        let annotations = annotations.into_iter().map(|(name, value)| (name, json(&value))).collect();
        let effects = verdict.effects.into_iter().map(|effect| match effect {
            Effect::Notice(text) => json!({ "notice": text }),
            Effect::Mute(mute) => json!({ "mute": { "seconds": mute.seconds, "reason": mute.reason } }),
            Effect::Flag(why) => json!({ "flag": why }),
        });
        Self { verdict: name, body, code, reason, details, annotations, effects: effects.collect() }
    }
}

/// What is wrong with the manifest: its name is the folder's, and each capability says why it is asked for.
fn manifest(name: &str, text: &str) -> Vec<String> {
    let manifest: Value = match toml::from_str(text) {
        Ok(manifest) => manifest,
        Err(error) => return vec![format!("plugin.toml: {error}")],
    };
    let mut wrong = Vec::new();
    if manifest["name"] != name {
        wrong.push(format!("plugin.toml: the name is {}, and not {name:?}", manifest["name"]));
    }
    for field in ["version", "description", "license"] {
        if !manifest[field].is_string() {
            wrong.push(format!("plugin.toml: `{field}` is missing"));
        }
    }
    for (capability, why) in manifest["capabilities"].as_object().into_iter().flatten() {
        if why.as_str().is_none_or(str::is_empty) {
            wrong.push(format!("plugin.toml: it does not say why it asks for `{capability}`"));
        }
    }
    wrong
}

/// What is wrong with the README: its first example of hub.toml, and the settings that it does not tell of.
fn readme<P: Plugin>(name: &str, schema: &Value, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let example = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
    match toml::from_str::<Value>(example) {
        Err(error) => wrong.push(format!("README.md: the example of hub.toml: {error}")),
        Ok(example) if !example["plugin"][name].is_object() => {
            wrong.push(format!("README.md: the example of hub.toml has no [plugin.{name}]"));
        }
        Ok(example) => {
            let settings = example["plugin"][name].get("settings").cloned().unwrap_or_else(|| json!({}));
            if let Err(error) = testing::configure::<P>(&settings) {
                wrong.push(format!("README.md: the plugin refuses the example's settings: {error}"));
            }
        }
    }
    let settings = schema["properties"].as_object().into_iter().flatten();
    let untold = settings.filter(|(setting, _)| !text.contains(&format!("| `{setting}` |")));
    wrong.extend(untold.map(|(setting, _)| format!("README.md: it does not tell of the setting `{setting}`")));
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Quiet;

    impl Plugin for Quiet {
        type Settings = Map<String, Value>;
        fn configure(_: Map<String, Value>) -> Result<Self, String> {
            Ok(Self)
        }
        fn judge(&self, event: &Event, _: &Context) -> Verdict {
            match event.text.as_deref() {
                Some("!") => Verdict::reject(422, "hush").notice("quietly, please"),
                _ => Verdict::accept().annotate("at", &event.at),
            }
        }
    }

    #[test]
    fn a_case_that_comes_out_as_written_is_not_spoken_of() {
        let file = r#"
            [[case]]
            name = "hush"
            event = { text = "!" }
            expect = { verdict = "reject", code = 422, effects = [{ notice = "quietly, please" }] }
            [[case]]
            name = "time"
            steps = [
                { event = { text = "a" }, expect = { verdict = "accept", annotations = { at = 1700000000000 } } },
                { pass = "2s", event = { text = "a" }, expect = { verdict = "accept", annotations = { at = 1700000002000 } } },
            ]
        "#;
        assert_eq!(cases::<Quiet>(file), Vec::<String>::new());
    }

    #[test]
    fn each_difference_is_told_with_its_case_and_what_was_found() {
        let file = r#"
            [[case]]
            name = "hush"
            event = { text = "!" }
            expect = { verdict = "accept", code = 400 }
        "#;
        let effects = r#"case "hush": step 1: effects is [{"notice":"quietly, please"}]"#;
        let expected = [r#"case "hush": step 1: verdict is "reject""#, r#"case "hush": step 1: code is 422"#, effects];
        assert_eq!(cases::<Quiet>(file), expected);
        assert!(cases::<Quiet>("[[case]]\nname = 'x'\nevnt = 1")[0].contains("evnt"));
        assert!(cases::<Quiet>("[[case]]\nname = 'x'")[0].contains("either"));
    }
}
