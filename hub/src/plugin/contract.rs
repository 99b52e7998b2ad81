//! The contract's words and ours, and the way between them. What a plugin says is checked here, before anyone acts on it.

use super::{Check, Decision, Effect, EventContext, Fault, Verdict};
use confab_config::JudgedKind;
use confab_protocol::refusal::PLUGIN_CODES;
use confab_protocol::{Annotations, Body, Event, Kind};
use std::borrow::Cow;
use uuid::fmt::Hyphenated;

/// What the contract's text generates.
#[allow(missing_docs, clippy::all, reason = "generated code")]
mod generated {
    wasmtime::component::bindgen!({
        path: "../plugin-sdk/wit",
        world: "complete",
        // What a plugin is handed is lent to it: nothing is copied but into its memory.
        ownership: Borrowing { duplicate_if_necessary: true },
        imports: {
            // What waits for others: the call gives way meanwhile.
            "confab:plugin/host-kv": async | trappable,
            "confab:plugin/host-http": async | trappable,
            default: trappable,
        },
        exports: { default: async },
    });
}

pub use generated::confab::plugin::{host_clock, host_emit, host_http, host_kv, host_log, host_random, types};
pub use generated::{Complete, CompletePre};

pub mod heard;

/// The contract's package.
pub const PACKAGE: &str = "confab:plugin";

/// Major and minor version of the contract that this hub speaks: plugins of this major version and of no newer minor one.
pub const VERSION: (u64, u64) = (1, 0);

/// The most effects of one verdict.
const EFFECTS_MAX: usize = 8;

/// How long a plugin may mute somebody, in seconds: up to a year.
const MUTE_SECONDS: std::ops::RangeInclusive<u32> = 1..=31_536_000;

/// The longest name of an annotation, in characters.
const ANNOTATION_NAME_MAX: usize = 64;

/// An event that a plugin is asked about, with what had to be written out for that.
pub struct Asked<'e> {
    event: &'e Event,
    context: &'e EventContext,
    roles: Vec<&'e str>,
    id: [u8; Hyphenated::LENGTH],
    text: Option<Cow<'e, str>>,
    target: Option<String>,
    thread: Option<String>,
    annotations: Vec<(&'e str, &'e str)>,
}

impl<'e> Asked<'e> {
    /// This event, in this context.
    pub fn of(event: &'e Event, context: &'e EventContext) -> Self {
        let mut id = [0; Hyphenated::LENGTH];
        event.id.0.hyphenated().encode_lower(&mut id);
        Self {
            event,
            context,
            roles: context.origin.roles.iter().map(String::as_str).collect(),
            id,
            text: event.body.text_here(),
            target: event.target.map(|id| id.to_string()),
            thread: event.thread.map(|id| id.to_string()),
            annotations: event.annotations.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        }
    }

    /// The event as plugins see it.
    pub fn event(&self) -> types::Event<'_> {
        let event = self.event;
        types::Event {
            id: std::str::from_utf8(&self.id).unwrap_or_default(),
            room: event.room.as_str(),
            sender: event.sender.user.as_str(),
            kind: kind(event.kind, self.context.kind),
            key: event.key.as_str(),
            at: event.at,
            body: event.body.as_str(),
            text: self.text.as_deref(),
            target: self.target.as_deref(),
            thread: self.thread.as_deref(),
            annotations: &self.annotations,
        }
    }

    /// The context as plugins see them.
    pub fn context(&self) -> types::Context<'_> {
        let sender = &self.event.sender;
        types::Context {
            client: sender.client.as_deref(),
            info: sender.info.as_ref().map(|info| info.as_str()),
            roles: &self.roles,
            hops: self.context.origin.hops,
            facts: &[],
        }
    }
}

fn kind(kind: Kind, judged: JudgedKind) -> types::Kind {
    match (judged, kind) {
        (JudgedKind::Send, _) => types::Kind::Send,
        (JudgedKind::Edit, _) => types::Kind::Edit,
        (JudgedKind::Delete, _) => types::Kind::Delete,
        (JudgedKind::React, Kind::Unreaction) => types::Kind::Unreact,
        (JudgedKind::React, _) => types::Kind::React,
        (JudgedKind::Join, _) => types::Kind::Join,
        (JudgedKind::Leave, _) => types::Kind::Leave,
        (JudgedKind::Typing, _) => types::Kind::Typing,
    }
}

/// How much of a plugin's memory the event takes, about.
pub fn size(event: &Event, context: &EventContext) -> usize {
    let annotations = event.annotations.iter().map(|(name, value)| name.len() + value.as_str().len());
    let info = event.sender.info.as_ref().map_or(0, |info| info.as_str().len());
    // Twice the body: its `text` is handed over once more.
    2 * event.body.as_str().len() + annotations.sum::<usize>() + info + context.size()
}

/// Reads what a plugin said. `check` is what a client's body must pass, so that nothing can come in through a plugin that
/// could not come in through the door.
pub fn read(said: types::Verdict, check: &Check) -> Result<Verdict, Fault> {
    let effects = said.effects;
    if effects.len() > EFFECTS_MAX {
        return Err(nonsense(format!("it asks for {} effects, at most {EFFECTS_MAX} are allowed", effects.len())));
    }
    let effects = effects.into_iter().map(read_effect).collect::<Result<_, _>>()?;
    Ok(Verdict { decision: read_decision(said.decision, check)?, effects })
}

fn read_effect(said: types::Effect) -> Result<Effect, Fault> {
    Ok(match said {
        types::Effect::Notice(text) => Effect::Notice(sentence(text)?),
        types::Effect::Mute(types::Mute { seconds, reason }) if MUTE_SECONDS.contains(&seconds) => {
            Effect::Mute { seconds, reason: sentence(reason)? }
        }
        types::Effect::Mute(types::Mute { seconds, .. }) => {
            return Err(nonsense(format!("it mutes for {seconds} seconds, but 1 to 31536000 are allowed")));
        }
        types::Effect::Flag(why) => Effect::Flag(sentence(why)?),
    })
}

fn read_decision(said: types::Decision, check: &Check) -> Result<Decision, Fault> {
    Ok(match said {
        types::Decision::Accept(annotations) => Decision::Accept(read_annotations(annotations, check)?),
        types::Decision::Replace(types::Replacement { body, annotations }) => {
            Decision::Replace(json("the new body", body, check)?, read_annotations(annotations, check)?)
        }
        types::Decision::Reject(types::Rejection { code, reason, details }) => {
            let code = u32::from(code);
            if !PLUGIN_CODES.contains(&code) {
                return Err(nonsense(format!("it rejects with code {code}, but a plugin's codes are 400 to 1999")));
            }
            let details = details.map(|details| json("the details", details, check)).transpose()?;
            Decision::Reject { code, reason: sentence(reason)?, details }
        }
        types::Decision::Hold(reason) => Decision::Hold { reason: sentence(reason)? },
    })
}

/// How many bytes a plugin said.
pub fn spoken(said: &types::Verdict) -> usize {
    let notes = |annotations: &[(String, String)]| annotations.iter().map(|(name, json)| name.len() + json.len()).sum();
    let decided = match &said.decision {
        types::Decision::Accept(annotations) => notes(annotations),
        types::Decision::Replace(new) => new.body.len() + notes(&new.annotations),
        types::Decision::Reject(no) => no.reason.len() + no.details.as_ref().map_or(0, String::len),
        types::Decision::Hold(reason) => reason.len(),
    };
    let effects = said.effects.iter().map(|effect| match effect {
        types::Effect::Notice(text) | types::Effect::Flag(text) => text.len(),
        types::Effect::Mute(mute) => mute.reason.len(),
    });
    decided + effects.sum::<usize>()
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
    use proptest::prelude::*;

    fn any_body(_: &Body) -> Result<(), String> {
        Ok(())
    }

    fn said(decision: types::Decision) -> types::Verdict {
        types::Verdict { decision, effects: Vec::new() }
    }

    fn refused(decision: types::Decision) -> String {
        read(said(decision), &any_body).unwrap_err().to_string()
    }

    #[test]
    fn effects_are_checked_as_well() {
        let asks = |effects| read(types::Verdict { effects, ..said(types::Decision::Accept(Vec::new())) }, &any_body);
        let mute = |seconds| types::Effect::Mute(types::Mute { seconds, reason: "enough".into() });
        assert_eq!(asks(vec![mute(60)]).unwrap().effects, [Effect::Mute { seconds: 60, reason: "enough".into() }]);
        assert!(asks(vec![mute(0)]).unwrap_err().to_string().contains("mutes for 0 seconds"));
        assert!(asks(vec![types::Effect::Notice("a\0".into())]).is_err());
        assert!(asks(vec![mute(1); 9]).unwrap_err().to_string().contains("9 effects"));
    }

    /// An answer of any shape, which a plugin in any language may give.
    fn answers() -> impl Strategy<Value = types::Verdict> {
        let text = || prop_oneof![".{0,80}", Just("{\"a\":[1]}".to_owned()), Just("null".to_owned())];
        let notes = || prop::collection::vec((text(), text()), 0..4);
        let decision = prop_oneof![
            notes().prop_map(types::Decision::Accept),
            (text(), notes())
                .prop_map(|(body, annotations)| types::Decision::Replace(types::Replacement { body, annotations })),
            (any::<u16>(), text(), prop::option::of(text())).prop_map(|(code, reason, details)| {
                types::Decision::Reject(types::Rejection { code, reason, details })
            }),
            text().prop_map(types::Decision::Hold),
        ];
        let effect = prop_oneof![
            text().prop_map(types::Effect::Notice),
            (any::<u32>(), text()).prop_map(|(seconds, reason)| types::Effect::Mute(types::Mute { seconds, reason })),
            text().prop_map(types::Effect::Flag),
        ];
        (decision, prop::collection::vec(effect, 0..12))
            .prop_map(|(decision, effects)| types::Verdict { decision, effects })
    }

    proptest! {
        #[test]
        fn whatever_a_plugin_answers_is_a_verdict_within_bounds_or_a_fault(said in answers()) {
            let bytes = spoken(&said);
            let Ok(verdict) = read(said, &any_body) else { return Ok(()) };
            prop_assert!(verdict.effects.len() <= EFFECTS_MAX);
            match verdict.decision {
                Decision::Accept(notes) => {
                    prop_assert!(notes.keys().all(|name| name.chars().count() <= ANNOTATION_NAME_MAX));
                }
                Decision::Replace(body, _) => prop_assert!(body.as_str().len() <= bytes),
                Decision::Reject { code, .. } => prop_assert!(PLUGIN_CODES.contains(&code)),
                Decision::Hold { reason } => prop_assert!(!reason.contains('\0')),
            }
        }
    }

    #[test]
    fn the_version_is_that_of_the_contracts_text() {
        let text = include_str!("../../../plugin-sdk/wit/plugin.wit");
        let (major, minor) = VERSION;
        assert!(text.contains(&format!("package {PACKAGE}@{major}.{minor}.")), "the text has another version");
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_a_fault_that_says_what_is_wrong() {
        let note = |name: &str, value: &str| types::Decision::Accept(vec![(name.into(), value.into())]);
        assert!(refused(note("", "1")).contains("cannot name"));
        assert!(refused(note("a\nb", "1")).contains("cannot name"));
        assert!(refused(note(&"a".repeat(65), "1")).contains("cannot name"));
        assert!(refused(note("a", "nope")).contains("annotation \"a\" is not JSON"));
        let twice = vec![("a".to_owned(), "1".to_owned()), ("a".into(), "2".into())];
        assert!(refused(types::Decision::Accept(twice)).contains("twice"));
        assert!(refused(types::Decision::Hold("a\0b".into())).contains("reason"));
        for code in [0, 399, 2000] {
            let no = types::Rejection { code, reason: String::new(), details: None };
            assert!(refused(types::Decision::Reject(no)).contains("400 to 1999"));
        }
    }

    #[test]
    fn what_a_client_may_not_send_a_plugin_may_not_say() {
        let check = |_: &Body| Err("too deep".to_owned());
        let new = types::Replacement { body: "1".into(), annotations: Vec::new() };
        let fault = read(said(types::Decision::Replace(new)), &check).unwrap_err();
        assert_eq!(fault, Fault::Nonsense("the new body: too deep".into()));
        let note = said(types::Decision::Accept(vec![("a".into(), "1".into())]));
        assert!(matches!(read(note, &check), Err(Fault::Nonsense(_))));
    }
}
