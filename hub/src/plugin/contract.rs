//! The contract's words and ours, and the way between them. What a plugin says is checked here, before anyone acts on it.

use super::{Check, Fault, Verdict};
use confab_protocol::refusal::PLUGIN_CODES;
use confab_protocol::{Annotations, Body, Event, Kind};

/// What the contract's text generates.
#[allow(missing_docs, clippy::all, reason = "generated code")]
mod generated {
    wasmtime::component::bindgen!({
        path: "../plugin-sdk/wit",
        world: "complete",
        exports: { default: async },
    });
}

pub use generated::confab::plugin::{host_log, types};
pub use generated::{Complete, CompletePre};

/// The contract's package.
pub const PACKAGE: &str = "confab:plugin";

/// Major and minor version of the contract that this hub speaks.
pub const VERSION: (u64, u64) = (0, 1);

/// The longest name of an annotation, in characters.
const ANNOTATION_NAME_MAX: usize = 64;

/// The event as plugins see it.
pub fn event(event: &Event) -> types::Event {
    types::Event {
        id: event.id.to_string(),
        room: event.room.to_string(),
        sender: event.sender.user.to_string(),
        kind: kind(event.kind),
        key: event.key.to_string(),
        at: event.at,
        body: event.body.as_str().to_owned(),
        text: event.body.text(),
        target: event.target.map(|id| id.to_string()),
        thread: event.thread.map(|id| id.to_string()),
        annotations: event.annotations.iter().map(|(name, value)| (name.clone(), value.as_str().to_owned())).collect(),
    }
}

/// The circumstances as plugins see them.
pub fn context(event: &Event) -> types::Context {
    types::Context {
        client: event.sender.client.clone(),
        info: event.sender.info.as_ref().map(|info| info.as_str().to_owned()),
        facts: Vec::new(),
    }
}

fn kind(kind: Kind) -> types::Kind {
    match kind {
        Kind::Message => types::Kind::Send,
        Kind::Edit => types::Kind::Edit,
        Kind::Delete => types::Kind::Delete,
        Kind::Reaction => types::Kind::React,
        Kind::Unreaction => types::Kind::Unreact,
    }
}

/// How much of a plugin's memory the event takes, about.
pub fn size(event: &Event) -> usize {
    let annotations = event.annotations.iter().map(|(name, value)| name.len() + value.as_str().len());
    let info = event.sender.info.as_ref().map_or(0, |info| info.as_str().len());
    // Twice the body: its `text` is handed over once more.
    2 * event.body.as_str().len() + annotations.sum::<usize>() + info
}

/// Reads what a plugin said. `check` is what a client's body must pass, so that nothing can come in through a plugin that
/// could not come in through the door.
pub fn read(said: types::Verdict, check: &Check) -> Result<Verdict, Fault> {
    let verdict = match said {
        types::Verdict::Accept(annotations) => Verdict::Accept(read_annotations(annotations, check)?),
        types::Verdict::Replace(types::Replacement { body, annotations }) => {
            Verdict::Replace(json("the new body", body, check)?, read_annotations(annotations, check)?)
        }
        types::Verdict::Reject(types::Rejection { code, reason, details }) => {
            let code = u32::from(code);
            if !PLUGIN_CODES.contains(&code) {
                return Err(nonsense(format!("it rejects with code {code}, but a plugin's codes are 400 to 1999")));
            }
            let details = details.map(|details| json("the details", details, check)).transpose()?;
            Verdict::Reject { code, reason: sentence(reason)?, details }
        }
        types::Verdict::Hold(reason) => Verdict::Hold { reason: sentence(reason)? },
    };
    Ok(verdict)
}

/// How many bytes a plugin said.
pub fn spoken(said: &types::Verdict) -> usize {
    let notes = |annotations: &[(String, String)]| annotations.iter().map(|(name, json)| name.len() + json.len()).sum();
    match said {
        types::Verdict::Accept(annotations) => notes(annotations),
        types::Verdict::Replace(new) => new.body.len() + notes(&new.annotations),
        types::Verdict::Reject(no) => no.reason.len() + no.details.as_ref().map_or(0, String::len),
        types::Verdict::Hold(reason) => reason.len(),
    }
}

fn read_annotations(said: Vec<(String, String)>, check: &Check) -> Result<Annotations, Fault> {
    let mut annotations = Annotations::new();
    for (name, value) in said {
        let length = name.chars().count();
        if !(1..=ANNOTATION_NAME_MAX).contains(&length) || name.chars().any(char::is_control) {
            return Err(nonsense(format!("{name:?} cannot name an annotation")));
        }
        let value = json(&format!("annotation {name:?}"), value, check)?;
        if annotations.insert(name.clone(), value).is_some() {
            return Err(nonsense(format!("it gives the annotation {name:?} twice")));
        }
    }
    Ok(annotations)
}

fn json(what: &str, text: String, check: &Check) -> Result<Body, Fault> {
    let body = Body::parse(text).map_err(|error| nonsense(format!("{what} is not JSON: {error}")))?;
    check(&body).map_err(|why| nonsense(format!("{what}: {why}")))?;
    Ok(body)
}

/// A sentence for people: no control characters, which neither a log nor a table can take.
fn sentence(text: String) -> Result<String, Fault> {
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        Some(c) => Err(nonsense(format!("its reason contains {c:?}"))),
        None => Ok(text),
    }
}

fn nonsense(why: String) -> Fault {
    Fault::Nonsense(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(_: &Body) -> Result<(), String> {
        Ok(())
    }

    fn refused(said: types::Verdict) -> String {
        read(said, &any).unwrap_err().to_string()
    }

    #[test]
    fn the_version_is_that_of_the_contracts_text() {
        let text = include_str!("../../../plugin-sdk/wit/plugin.wit");
        let (major, minor) = VERSION;
        assert!(text.contains(&format!("package {PACKAGE}@{major}.{minor}.")), "the text has another version");
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_a_fault_that_says_what_is_wrong() {
        let note = |name: &str, value: &str| types::Verdict::Accept(vec![(name.into(), value.into())]);
        assert!(refused(note("", "1")).contains("cannot name"));
        assert!(refused(note("a\nb", "1")).contains("cannot name"));
        assert!(refused(note(&"a".repeat(65), "1")).contains("cannot name"));
        assert!(refused(note("a", "nope")).contains("annotation \"a\" is not JSON"));
        let twice = vec![("a".to_owned(), "1".to_owned()), ("a".into(), "2".into())];
        assert!(refused(types::Verdict::Accept(twice)).contains("twice"));
        assert!(refused(types::Verdict::Hold("a\0b".into())).contains("reason"));
        for code in [0, 399, 2000] {
            let no = types::Rejection { code, reason: String::new(), details: None };
            assert!(refused(types::Verdict::Reject(no)).contains("400 to 1999"));
        }
    }

    #[test]
    fn what_a_client_may_not_send_a_plugin_may_not_say() {
        let check = |_: &Body| Err("too deep".to_owned());
        let new = types::Replacement { body: "1".into(), annotations: Vec::new() };
        let fault = read(types::Verdict::Replace(new), &check).unwrap_err();
        assert_eq!(fault, Fault::Nonsense("the new body: too deep".into()));
        let note = types::Verdict::Accept(vec![("a".into(), "1".into())]);
        assert!(matches!(read(note, &check), Err(Fault::Nonsense(_))));
    }
}
