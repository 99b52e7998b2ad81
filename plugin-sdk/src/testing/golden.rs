//! Golden cases: `golden.toml` says which events come in and what should come of each, and [`check`] holds a plugin to it,
//! natively. The same file is run against the component, so that both say the same.
//!
//! For a plugin's `[dev-dependencies]`: the feature `golden`.

#[allow(dead_code, reason = "the kit takes the same file, and shows people more of a case")]
mod case;
#[allow(dead_code, reason = "the kit takes the same file, and shows people more of a difference")]
mod compare;
mod schema;

use crate::{Context, Decision, Effect, Event, Kind, Plugin, Verdict, testing};
#[cfg(feature = "http")]
use case::Failing;
use case::{Case, EventCase, Wrong};
use compare::{Difference, Outcome, compare};
use schemars::JsonSchema;
use serde_json::{Value, json};
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
    let cases = match case::parse(text) {
        Ok(cases) => cases,
        Err(Wrong::Toml(error)) => return vec![format!("golden.toml: {error}")],
        Err(Wrong::Case { span, message, help }) => {
            let line = 1 + text.get(..span.start).unwrap_or_default().matches('\n').count();
            return vec![format!("golden.toml:{line}: {message}: {help}")];
        }
        Err(Wrong::Empty) => return vec!["golden.toml: there are no cases".into()],
    };
    // What a plugin remembers natively lies in the thread's memory: a thread a case keeps them apart.
    let run = |case: Case| {
        let result = std::thread::scope(|scope| scope.spawn(|| run::<P>(&case)).join());
        let said = result.unwrap_or_else(|_| vec!["it panicked".into()]);
        said.into_iter().map(move |wrong| format!("case {:?}: {wrong}", case.name)).collect::<Vec<_>>()
    };
    cases.into_iter().flat_map(run).collect()
}

/// Everything that comes out otherwise in one case.
fn run<P: Plugin>(case: &Case) -> Vec<String> {
    let settings = case::to_json(&toml::Value::Table(case.settings.clone()));
    let plugin = match (testing::configure::<P>(&settings), &case.settings_error) {
        (Ok(plugin), None) => plugin,
        (Err(error), Some(part)) if error.contains(part) => return Vec::new(),
        (Err(error), _) => return vec![format!("the plugin refuses its settings: {error}")],
        (Ok(_), Some(_)) => return vec!["the plugin takes its settings".into()],
    };
    record(case);
    let (mut passed, mut wrong) = (0, Vec::new());
    for (n, step) in (1..).zip(&case.steps) {
        let more = u64::try_from(step.pass.as_millis()).unwrap_or(u64::MAX);
        passed += more;
        pass(more, passed);
        let (event, context) = ask(&step.event, passed);
        let outcome = outcome(&event, plugin.judge(&event, &context));
        let differences = compare(&step.expect, &outcome).into_iter();
        wrong.extend(differences.map(|Difference { what, found, .. }| format!("step {n}: {what} is {found}")));
        wrong.extend(
            unlisted().into_iter().map(|url| format!("step {n}: it asks {url}, and the case does not list it")),
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
        let headers = answer.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
        let body = answer.body.clone().into_bytes();
        let answered = match answer.error {
            None => Ok(crate::http::Response { status: answer.status, headers, body }),
            Some(Failing::Unavailable) => Err(crate::http::Error::Unavailable("the server is away".into())),
            Some(Failing::Timeout) => Err(crate::http::Error::Timeout),
            Some(Failing::Forbidden) => Err(crate::http::Error::Forbidden("the address is not granted".into())),
            Some(Failing::TooLarge) => Err(crate::http::Error::TooLarge),
        };
        crate::http::answer(&answer.url, answered);
    }
}

/// The addresses that were asked although the case does not list them.
fn unlisted() -> Vec<String> {
    #[cfg(feature = "http")]
    return crate::http::unlisted();
    #[cfg(not(feature = "http"))]
    Vec::new()
}

/// What the plugin is asked, so many milliseconds after the case began.
fn ask(case: &EventCase, passed_ms: u64) -> (Event, Context) {
    let event = testing::event("");
    let body = match (&case.body, &case.text) {
        (Some(body), _) => case::json_text(body),
        (None, Some(text)) => json!({ "text": text }).to_string(),
        (None, None) => "null".into(),
    };
    let text = body.parse::<Value>().ok().and_then(|body| Some(body.get("text")?.as_str()?.to_owned()));
    let note = |(name, value): (&String, &toml::Value)| (name.clone(), case::to_json(value).to_string());
    let event = Event {
        room: case.room.clone().unwrap_or(event.room),
        sender: case.sender.clone().unwrap_or(event.sender),
        kind: case.kind.as_deref().map_or(event.kind, kind),
        key: case.key.clone().unwrap_or(event.key),
        at: case.at.unwrap_or(event.at + passed_ms),
        body,
        text,
        target: case.target.clone(),
        thread: case.thread.clone(),
        annotations: case.annotations.iter().map(note).collect(),
        ..event
    };
    let info = case.info.as_ref().map(case::json_text);
    let roles = case.roles.clone();
    (event, Context { client: case.client.clone(), info, roles, hops: case.hops, facts: Vec::new() })
}

/// A kind by its name, which was looked at when the file was read.
fn kind(name: &str) -> Kind {
    match name {
        "edit" => Kind::Edit,
        "delete" => Kind::Delete,
        "react" => Kind::React,
        "unreact" => Kind::Unreact,
        "join" => Kind::Join,
        "leave" => Kind::Leave,
        "typing" => Kind::Typing,
        _ => Kind::Send,
    }
}

/// A verdict, and what was said besides, as cases compare it.
fn outcome(event: &Event, verdict: Verdict) -> Outcome {
    let json = |text: &str| text.parse::<Value>().unwrap_or_else(|_| Value::String(format!("no JSON: {text}")));
    let notes = |notes: Vec<(String, String)>| notes.into_iter().map(|(name, value)| (name, json(&value))).collect();
    let nothing = Outcome { emits: emitted(), ..Outcome::default() };
    let said = match verdict.decision {
        Decision::Accept(annotations) => Outcome {
            verdict: "accept".into(),
            body: Some(event.body.clone()),
            annotations: notes(annotations),
            ..nothing
        },
        Decision::Replace(new) => {
            Outcome { verdict: "replace".into(), body: Some(new.body), annotations: notes(new.annotations), ..nothing }
        }
        Decision::Reject(no) => Outcome {
            verdict: "reject".into(),
            code: Some(no.code.into()),
            reason: Some(no.reason),
            details: no.details.as_deref().map(json),
            ..nothing
        },
        Decision::Hold(why) => Outcome { verdict: "hold".into(), reason: Some(why), ..nothing },
    };
    let effects = verdict.effects.into_iter().map(|effect| match effect {
        Effect::Notice(text) => json!({ "notice": text }),
        Effect::Mute(mute) => json!({ "mute": { "seconds": mute.seconds, "reason": mute.reason } }),
        Effect::Flag(why) => json!({ "flag": why }),
    });
    Outcome { effects: effects.collect(), ..said }
}

/// What was said besides.
fn emitted() -> Vec<Value> {
    #[cfg(feature = "emit")]
    return crate::emit::emitted()
        .into_iter()
        .map(|message| {
            let mut said = json!({ "body": message.body });
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
        type Settings = serde_json::Map<String, Value>;
        fn configure(_: serde_json::Map<String, Value>) -> Result<Self, String> {
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
        let expected =
            [r#"case "hush": step 1: verdict is reject (hush)"#, r#"case "hush": step 1: code is 422"#, effects];
        assert_eq!(cases::<Quiet>(file), expected);
        assert!(cases::<Quiet>("[[case]]\nname = 'x'\nevnt = 1")[0].contains("evnt"));
        assert!(cases::<Quiet>("[[case]]\nname = 'x'")[0].contains("golden.toml:2: this case does not say"));
    }
}
