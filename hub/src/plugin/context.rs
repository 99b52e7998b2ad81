//! What plugins are told of an event besides the event: what it is, and who stands behind it.

use crate::actor::{Actor, Via};
use confab_config::JudgedKind;
use confab_protocol::{Event, Kind, UserId};
use std::sync::Arc;

/// What is known of an event besides itself: `context` in the contract.
#[derive(Clone, Debug)]
pub struct EventContext {
    /// What chains call it.
    pub kind: JudgedKind,
    /// Who stands behind it.
    pub origin: Origin,
}

/// Who stands behind an event, besides its sender.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The roles that the sender's token grants.
    pub roles: Arc<[String]>,
    /// How many plugins' own messages led to it: 0 for what a person does.
    pub hops: u32,
    /// The plugin that says it. It is not asked about its own.
    pub plugin: Option<Arc<str>>,
    /// Whose event a plugin's message follows from: what it makes other plugins do is theirs to answer for.
    pub cause: Option<UserId>,
}

impl From<&Actor> for Origin {
    fn from(actor: &Actor) -> Self {
        let roles = actor.roles.clone();
        match &actor.via {
            Via::Plugin { name, hops, cause } => {
                Self { roles, hops: *hops, plugin: Some(name.clone()), cause: cause.clone() }
            }
            Via::Rpc | Via::SocketIo | Via::Operator { .. } => Self { roles, ..Self::default() },
        }
    }
}

impl From<JudgedKind> for EventContext {
    /// What a person without roles does.
    fn from(kind: JudgedKind) -> Self {
        Self { kind, origin: Origin::default() }
    }
}

impl EventContext {
    /// Those of an event of this kind.
    pub fn of(kind: Kind, origin: Origin) -> Self {
        Self { kind: super::judged_kind(kind), origin }
    }

    /// Who answers for it if a plugin fails over this event: whoever said it, or said what a plugin's message follows from.
    pub(super) fn answers_for<'a>(&'a self, event: &'a Event) -> &'a UserId {
        self.origin.cause.as_ref().unwrap_or(&event.sender.user)
    }

    /// How much of a plugin's memory they take, about.
    pub(super) fn size(&self) -> usize {
        self.origin.roles.iter().map(String::len).sum()
    }
}
