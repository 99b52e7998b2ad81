//! Rehearsals: an event judged by a chain although nobody will hear it, and the `[[test]]` tables of hub.toml.

use super::{Chain, Effect, EventContext, Judged, Origin, RequestedEffect};
use crate::clock::now_ms;
use confab_config::{ChainTest, JudgedKind, Path, Problem};
use confab_protocol::{Annotations, Body, Event, EventId, Key, Kind, Room, Sender, Trail, UserId, VerdictName};
use serde::Serialize;

/// What came of judging a text.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// What the whole chain said; `accept` if the text is what it was.
    pub verdict: VerdictName,
    /// The text that listeners would see: the body, where it has none.
    pub text: Option<String>,
    /// The refusal's code.
    pub code: Option<u32>,
    /// Why it was refused or held.
    pub reason: Option<String>,
    /// What the plugins said beside it.
    pub annotations: Annotations,
    /// What they asked for besides, in order.
    pub effects: Vec<ShownEffect>,
    /// Which plugin said what.
    pub trail: Trail,
}

/// Something that a plugin asked for besides its decision.
#[derive(Clone, Debug, Serialize)]
pub struct ShownEffect {
    /// Which plugin.
    pub plugin: String,
    /// `notice`, `mute`, `flag` or `say`.
    pub effect: &'static str,
    /// The sentence, or the body.
    pub text: String,
    /// For how many seconds, if it is a mute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    /// Where, if it is something that the plugin says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<Room>,
}

impl From<RequestedEffect> for ShownEffect {
    fn from(RequestedEffect { plugin, effect }: RequestedEffect) -> Self {
        let name = effect.name();
        let (text, seconds, room) = match effect {
            Effect::Notice(text) | Effect::Flag(text) => (text, None, None),
            Effect::Mute { seconds, reason } => (reason, Some(seconds), None),
            Effect::Say(said) => {
                (said.body.text().unwrap_or_else(|| said.body.as_str().to_owned()), None, Some(said.room))
            }
        };
        Self { plugin, effect: name, text, seconds, room }
    }
}

/// A test that was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TestResult {
    /// Its room.
    pub room: String,
    /// What was sent.
    pub send: String,
    /// Whether everything came out as expected.
    pub ok: bool,
    /// What did not.
    pub differences: Vec<String>,
}

impl TestResult {
    /// The finding about the test with this index that did not come out as expected.
    pub fn problem(&self, index: usize) -> Option<Problem> {
        let (first, more) = self.differences.split_first()?;
        let at = Path::of("test").index(index).key("expect");
        let message = format!("the new chain fails test {} in `{}`: {:?}", index + 1, self.room, self.send);
        Some(more.iter().fold(Problem::error(&at, message).label(first), |problem, line| problem.note(line)))
    }
}

/// Lets a chain judge a message with this text, or what else the context says. Nothing is counted, and nobody hears it.
pub async fn dry_run(
    chain: &Chain,
    room: &Room,
    text: &str,
    user: &UserId,
    context: impl Into<EventContext>,
) -> Outcome {
    let context = context.into();
    let kind = match context.kind {
        JudgedKind::Edit => Kind::Edit,
        JudgedKind::Delete => Kind::Delete,
        JudgedKind::React => Kind::Reaction,
        JudgedKind::Send | JudgedKind::Join | JudgedKind::Leave | JudgedKind::Typing => Kind::Message,
    };
    let body = match context.kind {
        JudgedKind::Send | JudgedKind::Edit => Body::of(&serde_json::json!({ "text": text })),
        JudgedKind::React => Body::of(&serde_json::json!({ "reaction": text })),
        _ => Body::null(),
    };
    let event = Event {
        kind,
        id: EventId::fresh(),
        room: room.clone(),
        sender: Sender { user: user.clone(), client: None, info: None },
        key: Key::fresh(),
        digest: String::new(),
        at: now_ms(),
        body,
        target: (kind != Kind::Message).then(EventId::fresh),
        thread: None,
        annotations: Annotations::new(),
    };
    let none = Outcome {
        verdict: VerdictName::Accept,
        text: None,
        code: None,
        reason: None,
        annotations: Annotations::new(),
        effects: Vec::new(),
        trail: Trail::default(),
    };
    let before = event.body.clone();
    let besides = |requested: Vec<RequestedEffect>| requested.into_iter().map(ShownEffect::from).collect();
    match chain.dry_run(event, context).await {
        Judged::Approved(approved) => {
            let left = approved.event.body.text();
            let same = approved.event.body == before;
            let verdict = if same { VerdictName::Accept } else { VerdictName::Replace };
            let has_a_body = before != Body::null(); // a join has none, and nothing to print
            let left = left.or_else(|| has_a_body.then(|| approved.event.body.as_str().to_owned()));
            let annotations = approved.event.annotations;
            let effects = besides(approved.requested);
            Outcome { verdict, text: left, annotations, effects, trail: approved.trail, ..none }
        }
        Judged::Refused(refusal, trail, requested) => {
            let code = Some(refusal.code());
            let reason = Some(refusal.message().into_owned());
            Outcome { verdict: VerdictName::Reject, code, reason, effects: besides(requested), trail, ..none }
        }
        Judged::Held { reason, trail, requested, .. } => {
            let effects = besides(requested);
            Outcome { verdict: VerdictName::Hold, reason: Some(reason), effects, trail, ..none }
        }
    }
}

/// Runs the tests, one after the other, in the order of the file.
pub async fn run_tests(chain: &Chain, tests: &[ChainTest]) -> Vec<TestResult> {
    let tester = UserId::new("tester").expect("this is a user id");
    let mut done = Vec::with_capacity(tests.len());
    for test in tests {
        let differences = match Room::new(&test.room) {
            Ok(room) => {
                let origin = Origin { roles: test.roles.clone().into(), ..Origin::default() };
                let context = EventContext { kind: test.on, origin };
                differences(test, &dry_run(chain, &room, &test.send, &tester, context).await)
            }
            Err(error) => vec![error.to_string()],
        };
        let room = test.room.clone();
        let send = test.send.clone();
        done.push(TestResult { room, send, ok: differences.is_empty(), differences });
    }
    done
}

fn differences(test: &ChainTest, outcome: &Outcome) -> Vec<String> {
    let mut found = Vec::new();
    let expect = &test.expect;
    if expect.verdict != outcome.verdict.as_str() {
        let why = outcome.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        found.push(format!("verdict: expected {}, found {}{why}", expect.verdict, outcome.verdict.as_str()));
    }
    if expect.text.is_some() && expect.text != outcome.text {
        let found_text = outcome.text.as_deref().unwrap_or("nothing");
        found.push(format!("text: expected {}, found {found_text}", expect.text.as_deref().unwrap_or_default()));
    }
    let asked: Vec<&str> = outcome.effects.iter().map(|besides| besides.effect).collect();
    if let Some(effects) = expect.effects.as_ref().filter(|effects| **effects != asked) {
        found.push(format!("effects: expected {effects:?}, found {asked:?}"));
    }
    if expect.code.is_some() && expect.code != outcome.code {
        found.push(format!("code: expected {:?}, found {:?}", expect.code, outcome.code));
    }
    found
}
