//! Verdicts, said in a word.

use crate::{Annotation, Rejection, Replacement, Verdict};
use serde::Serialize;

impl Verdict {
    /// The event goes on as it is.
    pub fn accept() -> Self {
        Self::Accept(Vec::new())
    }

    /// The event goes on with another body, given as JSON text. To change only what was said, see
    /// [`Event::with_text`](crate::Event::with_text).
    pub fn replace(body: impl Into<String>) -> Self {
        Self::Replace(Replacement { body: body.into(), annotations: Vec::new() })
    }

    /// The event is refused with a code (400 to 1999) and a sentence for the sender.
    pub fn reject(code: u16, reason: impl Into<String>) -> Self {
        Self::Reject(Rejection { code, reason: reason.into(), details: None })
    }

    /// The event waits for a moderator, who is told why.
    pub fn hold(reason: impl Into<String>) -> Self {
        Self::Hold(reason.into())
    }

    /// Adds an annotation; listeners see it as `plugin.name`. A refused or held event takes none.
    ///
    /// # Panics
    /// Where `value` cannot be JSON (a map with keys that are no strings).
    #[must_use]
    pub fn annotate(mut self, name: impl Into<String>, value: &impl Serialize) -> Self {
        let annotation: Annotation = (name.into(), serde_json::to_string(value).expect("value has a JSON form"));
        match &mut self {
            Self::Accept(annotations) | Self::Replace(Replacement { annotations, .. }) => annotations.push(annotation),
            Self::Reject(_) | Self::Hold(_) => {}
        }
        self
    }

    /// Tells the sender more, as JSON, if this is a rejection.
    ///
    /// # Panics
    /// Where `value` cannot be JSON (a map with keys that are no strings).
    #[must_use]
    pub fn details(mut self, value: &impl Serialize) -> Self {
        if let Self::Reject(rejection) = &mut self {
            rejection.details = Some(serde_json::to_string(value).expect("value has a JSON form"));
        }
        self
    }
}
