//! Reads a file of golden cases; what is wrong in it has its line.

use super::{Case, EventCase, Expect, Golden, Recorded, Step, json_text};
use crate::{Error, Result};
use confab_config::human::duration;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use toml::Spanned;

const VERDICTS: [&str; 5] = ["accept", "replace", "reject", "hold", "fault"];
const KINDS: [&str; 8] = ["send", "edit", "delete", "react", "unreact", "join", "leave", "typing"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    case: Vec<Spanned<RawCase>>,
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
    #[serde(default, with = "duration")]
    pass: Duration,
    #[serde(default)]
    event: EventCase,
    expect: Expect,
}

impl Golden {
    /// Reads a file of cases.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Error::file("read", file, &error).help("a case is `[[case]]` with `name`, `settings`, `event` and `expect`")
        })?;
        Self::parse(file, &text)
    }

    /// Reads the text of a file of cases; `file` is what errors call it.
    pub fn parse(file: &Path, text: &str) -> Result<Self> {
        let read: File = toml::from_str(text).map_err(|error| Error::toml(file, text, &error))?;
        let cases = read.case.into_iter().map(|case| one(file, text, case.into_inner()));
        let cases = cases.collect::<Result<Vec<_>>>()?;
        if cases.is_empty() {
            return Err(Error::new(format!("{} has no cases", file.display()))
                .help("a case is `[[case]]` with `name`, `settings`, `event` and `expect`"));
        }
        Ok(Self { file: file.to_owned(), cases })
    }
}

fn one(file: &Path, text: &str, raw: RawCase) -> Result<Case> {
    let span = raw.name.span();
    let wrong = |message: String| Error::at(file, text, span.clone(), message);
    let line = 1 + text.get(..span.start).unwrap_or_default().matches('\n').count();
    let single = raw.event.is_some() || raw.expect.is_some();
    let steps = match (raw.steps, raw.expect, &raw.settings_error) {
        (None, None, Some(_)) if !single => Vec::new(),
        (None, Some(expect), None) => {
            vec![Step { pass: Duration::ZERO, event: raw.event.unwrap_or_default(), expect }]
        }
        (Some(steps), None, None) if !single && !steps.is_empty() => {
            let step = |RawStep { pass, event, expect }| Step { pass, event, expect };
            steps.into_iter().map(step).collect()
        }
        _ => {
            return Err(wrong("this case does not say what should happen".into())
                .help("give it `event` and `expect`, or `steps`, or `settings_error`, and only one of the three"));
        }
    };
    for step in &steps {
        check(step).map_err(|(message, help)| wrong(message).help(help))?;
    }
    Ok(Case {
        name: raw.name.into_inner(),
        line,
        settings: raw.settings,
        settings_error: raw.settings_error,
        steps,
        http: raw.http,
    })
}

/// What serde cannot see: words out of a list, and text that should be JSON.
fn check(step: &Step) -> std::result::Result<(), (String, String)> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Golden> {
        Golden::parse(Path::new("golden.toml"), text)
    }

    fn refused(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_case_is_one_event_or_several_or_settings_that_are_refused() {
        let golden = parse(
            "[[case]]\nname = 'a'\nsettings = { words = ['spam'] }\nevent = { text = 'x' }\nexpect = { verdict = 'accept' }\n\
             [[case]]\nname = 'b'\nsteps = [{ event = {}, expect = {} }, { pass = '61s', expect = { code = 429 } }]\n\
             http = [{ url = 'https://a.example/' }]\n\
             [[case]]\nname = 'c'\nsettings_error = 'no words'\n",
        )
        .unwrap();
        let lines: Vec<_> = golden.cases.iter().map(|case| (case.name.as_str(), case.line, case.steps.len())).collect();
        assert_eq!(lines, [("a", 2, 1), ("b", 7, 2), ("c", 11, 0)]);
        assert_eq!(golden.cases[1].steps[1].pass, Duration::from_secs(61));
        assert_eq!(golden.cases[1].http[0].status, 200);
    }

    #[test]
    fn what_is_wrong_has_its_line_and_what_to_do() {
        let wrong = refused("[[case]]\nname = 'a'\nevent = { txet = 'x' }\nexpect = {}");
        assert!(wrong.contains("golden.toml:3:11") && wrong.contains("txet"), "{wrong}");
        let wrong = refused("[[case]]\nname = 'a'\nevent = { text = 'x' }");
        assert!(wrong.contains("golden.toml:2:8") && wrong.contains("or `steps`"), "{wrong}");
        let wrong = refused("[[case]]\nname = 'a'\nexpect = { verdict = 'acept' }");
        assert!(wrong.contains("accept, replace, reject, hold, fault"), "{wrong}");
        let wrong = refused("[[case]]\nname = 'a'\nevent = { body = 'hello' }\nexpect = {}");
        assert!(wrong.contains("is JSON text"), "{wrong}");
        assert!(refused("").contains("has no cases"));
    }
}
