//! What happens in a room and takes no place in its order: that somebody joins, leaves, or is typing.
//!
//! Plugins judge it where a chain says so. Nothing of it is kept, so nothing of it is repeated either.

use super::effects::EventOutcome;
use super::{Publisher, stamp};
use crate::access::Permit;
use crate::actor::Actor;
use crate::plugin::{EventContext, Judged, Origin, RequestedEffect};
use confab_config::JudgedKind;
use confab_protocol::signal::Typing;
use confab_protocol::{Body, Draft, Event, Key, Kind, Refusal, Room, Signal};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How many leavings may wait for plugins at once: when a whole crowd goes, the rest of it is not judged.
const LEAVING_MAX: usize = 1024;

/// The leavings that plugins are being asked about.
pub struct Leaving(Arc<Semaphore>);

impl Default for Leaving {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LEAVING_MAX)))
    }
}

/// A join that plugins have let through: what follows from it once it has come about.
pub struct Entered {
    event: Event,
    requested: Vec<RequestedEffect>,
}

impl Publisher {
    /// Whether any chain judges this kind, in whatever room.
    pub fn judges(&self, kind: JudgedKind) -> bool {
        self.chain.load().judges(kind)
    }

    /// Whether somebody may join a room.
    ///
    /// # Errors
    /// The refusal of a plugin, or of the policy for one that failed.
    pub async fn may_join(self: &Arc<Self>, permit: &Permit) -> Result<Entered, Refusal> {
        let event = ephemeral_event(permit.room(), permit.actor());
        match self.ask(&event, JudgedKind::Join, permit.actor()).await {
            Ok(requested) => Ok(Entered { event, requested }),
            Err((refusal, requested)) => {
                self.apply_effects(&event, EventOutcome::Gone, requested);
                Err(refusal)
            }
        }
    }

    /// They have joined.
    pub fn joined(self: &Arc<Self>, Entered { event, requested }: Entered) {
        self.apply_effects(&event, EventOutcome::Stands, requested);
    }

    /// Somebody has left a room. It has happened, so only effects follow; nobody waits for them.
    pub fn left(self: &Arc<Self>, room: &Room, actor: Arc<Actor>) {
        let Ok(permit) = self.leaving.0.clone().try_acquire_owned() else {
            return self.telemetry.ephemeral(JudgedKind::Leave.as_str(), "unjudged");
        };
        let publisher = self.clone();
        let event = ephemeral_event(room, &actor);
        self.tasks.spawn(Box::pin(async move {
            let (Ok(requested) | Err((_, requested))) = publisher.ask(&event, JudgedKind::Leave, &actor).await;
            publisher.apply_effects(&event, EventOutcome::Stands, requested);
            drop(permit);
        }));
    }

    /// Tells the others in a room that somebody is typing.
    ///
    /// # Errors
    /// The refusal of a plugin; nobody is told then.
    pub async fn typing(self: &Arc<Self>, permit: Permit) -> Result<(), Refusal> {
        if self.judges(JudgedKind::Typing) {
            let event = ephemeral_event(permit.room(), permit.actor());
            match self.ask(&event, JudgedKind::Typing, permit.actor()).await {
                Ok(requested) => self.apply_effects(&event, EventOutcome::Stands, requested),
                Err((refusal, requested)) => {
                    self.apply_effects(&event, EventOutcome::Gone, requested);
                    return Err(refusal);
                }
            }
        } else {
            self.telemetry.ephemeral(JudgedKind::Typing.as_str(), "accepted");
        }
        let typing = Typing { who: permit.actor().present() };
        if let Err(error) = self.timeline.tell(&Signal::to_room(permit.room().clone(), typing)).await {
            tracing::debug!(%error, "could not tell that somebody is typing"); // in a moment they say so again
        }
        Ok(())
    }

    /// What the plugins say, and what they ask for besides.
    async fn ask(
        &self,
        event: &Event,
        kind: JudgedKind,
        actor: &Actor,
    ) -> Result<Vec<RequestedEffect>, (Refusal, Vec<RequestedEffect>)> {
        let chain = self.chain.load_full();
        let said = match chain.judge(event.clone(), EventContext { kind, origin: Origin::from(actor) }).await {
            Judged::Approved(approved) => Ok(approved.requested),
            Judged::Refused(refusal @ Refusal::PluginFault { .. }, ..) => Err((refusal, Vec::new())),
            Judged::Refused(refusal, _, requested) => Err((refusal, requested)),
            // It cannot wait for a moderator: whoever would have it so is not asked to let it through.
            Judged::Held { plugin, .. } => Err((Refusal::PluginFault { plugin }, Vec::new())),
        };
        let outcome = said.as_ref().err().map_or("accepted", |(refusal, _)| refusal.name());
        self.telemetry.ephemeral(kind.as_str(), outcome);
        said
    }
}

/// The form in which plugins are asked about it: an event without a body. What it is, the context says.
fn ephemeral_event(room: &Room, actor: &Actor) -> Event {
    let draft = Draft {
        kind: Kind::Message,
        room: room.clone(),
        key: Key::fresh(),
        body: Body::null(),
        target: None,
        thread: None,
    };
    stamp(actor.sender(), draft)
}
