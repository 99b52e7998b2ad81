//! Verdicts, said in a word.

use crate::{Annotation, Decision, Effect, Mute, Rejection, Replacement, Verdict};
use serde::Serialize;

impl From<Decision> for Verdict {
    fn from(decision: Decision) -> Self {
        Self { decision, effects: Vec::new() }
    }
}

impl Verdict {
    /// The event goes on as it is.
    pub fn accept() -> Self {
        Decision::Accept(Vec::new()).into()
    }

    /// The event goes on with another body, given as JSON text. To change only what was said, see
    /// [`Event::with_text`](crate::Event::with_text).
    pub fn replace(body: impl Into<String>) -> Self {
        Decision::Replace(Replacement { body: body.into(), annotations: Vec::new() }).into()
    }

    /// The event is refused with a code (400 to 1999) and a sentence for the sender.
    pub fn reject(code: u16, reason: impl Into<String>) -> Self {
        Decision::Reject(Rejection { code, reason: reason.into(), details: None }).into()
    }

    /// The event waits for a moderator, who is told why.
    pub fn hold(reason: impl Into<String>) -> Self {
        Decision::Hold(reason.into()).into()
    }

    /// Adds an annotation; listeners see it as `plugin.name`. A refused or held event takes none.
    ///
    /// # Panics
    /// Where `value` cannot be JSON (a map with keys that are no strings).
    #[must_use]
    pub fn annotate(mut self, name: impl Into<String>, value: &impl Serialize) -> Self {
        let annotation: Annotation = (name.into(), serde_json::to_string(value).expect("value has a JSON form"));
        match &mut self.decision {
            Decision::Accept(annotations) | Decision::Replace(Replacement { annotations, .. }) => {
                annotations.push(annotation);
            }
            Decision::Reject(_) | Decision::Hold(_) => {}
        }
        self
    }

    /// Tells the sender more, as JSON, if this is a rejection.
    ///
    /// # Panics
    /// Where `value` cannot be JSON (a map with keys that are no strings).
    #[must_use]
    pub fn details(mut self, value: &impl Serialize) -> Self {
        if let Decision::Reject(rejection) = &mut self.decision {
            rejection.details = Some(serde_json::to_string(value).expect("value has a JSON form"));
        }
        self
    }

    /// Tells the sender, and nobody else, a sentence.
    #[must_use]
    pub fn notice(self, text: impl Into<String>) -> Self {
        self.with(Effect::Notice(text.into()))
    }

    /// Keeps the sender from speaking in the room for a while, in seconds; `reason` is what they hear when they try.
    #[must_use]
    pub fn mute(self, seconds: u32, reason: impl Into<String>) -> Self {
        self.with(Effect::Mute(Mute { seconds, reason: reason.into() }))
    }

    /// Asks moderators to look at the event, without keeping it back.
    #[must_use]
    pub fn flag(self, why: impl Into<String>) -> Self {
        self.with(Effect::Flag(why.into()))
    }

    fn with(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }
}
