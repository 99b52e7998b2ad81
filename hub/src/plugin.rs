//! Plugins: what they are, what they say, and the chain that asks them.

use confab_protocol::{Annotations, Body, Event, Refusal, Trail};

/// What the chain said of an event.
#[derive(Clone, Debug)]
pub enum Judged {
    /// It may be published, as it is now (rewritten and annotated).
    Approved(Approved),
    /// A plugin, or the policy for one that failed, refused it.
    Refused(Refusal, Trail),
    /// A plugin, or the policy for one that failed, set it aside.
    Held {
        /// The event as it stood when it was held.
        event: Event,
        /// Which plugin held it.
        plugin: String,
        /// Why.
        reason: String,
        /// The trail so far.
        trail: Trail,
    },
}

/// An event that every plugin of its chain has let through.
#[derive(Clone, Debug)]
pub struct Approved {
    /// The event, with the body and annotations that the chain left it.
    pub event: Event,
    /// Who said what.
    pub trail: Trail,
}

/// One plugin's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on, with these annotations added.
    Accept(Annotations),
    /// It goes on with another body, and these annotations added.
    Replace(Body, Annotations),
    /// It is refused.
    Reject {
        /// 400–1999.
        code: u32,
        /// What the sender is told.
        reason: String,
        /// What else the sender is told, as JSON.
        details: Option<Body>,
    },
    /// It is set aside for a moderator.
    Hold {
        /// Why.
        reason: String,
    },
}
