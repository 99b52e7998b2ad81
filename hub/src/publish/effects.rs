//! What follows from an event besides: plugins' notices, mutes, flags, and messages of their own.
//!
//! It is done beside the answer, once, by the hub whose append won, or whose refusal is the one that is remembered. Nothing
//! of it can fail an event: what cannot be done is counted and logged.

use super::{Publisher, WRITE_AGAIN};
use crate::actor::PLUGIN_USER;
use crate::backoff::Backoff;
use crate::clock::now_ms;
use crate::plugin::{Effect, Emitted, RequestedEffect};
use confab_protocol::signal::Notice;
use confab_protocol::{Body, Event, EventId, HeldEmit, Record, Room, Sender, Signal, Trail};
use confab_store::{Flag, Sanction, SanctionKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long the store is asked again to keep a mute or a flag.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most flags of one sender that are open.
const FLAGS_OF_SENDER_MAX: usize = 100;

/// What became of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventOutcome {
    /// It has its place.
    Stands,
    /// A plugin refused it.
    Refused,
    /// It waits for a moderator.
    Held,
    /// It came to nothing, and is kept nowhere: nobody joined, nobody was told.
    Gone,
}

impl Publisher {
    /// Does what plugins asked for besides their decision. What must hold from now on holds when this returns; the rest goes
    /// on beside the answer.
    pub(super) fn apply_effects(
        self: &Arc<Self>,
        event: &Event,
        outcome: EventOutcome,
        requested: Vec<RequestedEffect>,
    ) {
        if requested.is_empty() {
            return;
        }
        let mut later = Vec::new();
        let mut said = Vec::new();
        for (n, RequestedEffect { plugin, effect }) in requested.into_iter().enumerate() {
            match effect {
                Effect::Notice(text) => self.notice(event, plugin, text),
                Effect::Mute { seconds, reason } => {
                    let mute = self.mute(event, &plugin, seconds, reason);
                    later.push((plugin, Later::Mute(mute)));
                }
                Effect::Flag(reason) => {
                    let flag = flag(event, outcome, n, plugin.clone(), reason);
                    later.push((plugin, Later::Flag(flag)));
                }
                Effect::Say(message) if outcome == EventOutcome::Stands => said.push((n, plugin, message)),
                Effect::Say(_) => self.telemetry.plugins.effect(&plugin, "say", "dropped"), // the event came to nothing
            }
        }
        if !said.is_empty() {
            let (queued, left_out) = self.emits.queue(event.id, said);
            for plugin in left_out {
                self.telemetry.plugins.effect(&plugin, "say", "dropped");
                if let Some(left_out) = self.emits.may_log_refusal() {
                    tracing::warn!(plugin, event = %event.id, left_out, "too many plugin messages under way, one dropped");
                }
            }
            self.tasks.spawn(self.clone().emit_all(queued));
        }
        if !later.is_empty() {
            let publisher = self.clone();
            self.tasks.spawn(async move {
                for (plugin, later) in later {
                    publisher.keep(&plugin, &later).await;
                }
            });
        }
    }

    /// Tells the session that the event came from, or, where it came from none that is here, all of the sender's on every hub.
    fn notice(self: &Arc<Self>, event: &Event, plugin: String, text: String) {
        let Sender { user, client, .. } = &event.sender;
        let notice = Notice { room: event.room.clone(), id: event.id, key: event.key.clone(), plugin, text };
        let plugin = notice.plugin.clone();
        let signal = Signal::to_user(user.clone(), notice);
        if client.as_deref().is_some_and(|client| self.signals.tell_session(user, client, &signal)) {
            return self.telemetry.plugins.effect(&plugin, "notice", "done");
        }
        if user.as_str().starts_with(PLUGIN_USER) {
            return self.telemetry.plugins.effect(&plugin, "notice", "nobody");
        }
        let publisher = self.clone();
        self.tasks.spawn(async move {
            let told = publisher.timeline.tell(&signal).await;
            publisher.telemetry.plugins.effect(&plugin, "notice", if told.is_ok() { "relayed" } else { "failed" });
            if let Err(error) = told {
                tracing::warn!(plugin, %error, "notice of a plugin not told");
            }
        });
    }

    fn mute(&self, event: &Event, plugin: &str, seconds: u32, reason: String) -> Sanction {
        let at = now_ms();
        let room = event.room.clone();
        let user = event.sender.user.clone();
        tracing::info!(plugin, %room, %user, event = %event.id, seconds, reason, "plugin muted somebody");
        let room = Some(room);
        let until = Some(at + u64::from(seconds) * 1000);
        let by = format!("plugin:{plugin}");
        let mute = Sanction { kind: SanctionKind::Mute, room, user, until, reason, by, at };
        self.sanctions.mute_locally(&mute);
        mute
    }

    /// Puts it into the store, which may be away for a while.
    async fn keep(&self, plugin: &str, later: &Later) {
        let begun = Instant::now();
        let mut backoff = Backoff::new(WRITE_AGAIN);
        let (name, room, id) = later.names();
        loop {
            let kept = match later {
                Later::Mute(mute) => self.sanctions.keep(mute).await.map(|()| true),
                Later::Flag(flag) => self.store.flag(flag, FLAGS_OF_SENDER_MAX).await,
            };
            match kept {
                Ok(true) => return self.telemetry.plugins.effect(plugin, name, "done"),
                // So many flags of the same sender are open that a moderator knows who to look at.
                Ok(false) => return self.telemetry.plugins.effect(plugin, name, "dropped"),
                Err(error) if error.temporary() && begun.elapsed() < PATIENCE && !self.tasks.is_closed() => {
                    tracing::debug!(plugin, %error, "could not keep what a plugin asked for yet");
                    backoff.wait().await;
                }
                Err(error) => {
                    self.telemetry.plugins.effect(plugin, name, "failed");
                    tracing::error!(plugin, ?room, event = ?id, %error, "could not keep the {name} that a plugin asked for");
                    return;
                }
            }
        }
    }
}

/// Takes out what plugins want to say about an event that is held: it is kept with the event, and said when that is published.
/// What else they asked for is about the sender and the moderators, and follows at once.
pub(super) fn hold_emits(requested: Vec<RequestedEffect>) -> (Vec<HeldEmit>, Vec<RequestedEffect>) {
    let mut says = Vec::new();
    let mut now = Vec::new();
    for RequestedEffect { plugin, effect } in requested {
        match effect {
            Effect::Say(Emitted { room, body, thread, hops, cause: _ }) => {
                says.push(HeldEmit { plugin, room, body, thread, hops })
            }
            effect => now.push(RequestedEffect { plugin, effect }),
        }
    }
    (says, now)
}

/// The way back.
pub(super) fn release_emits(says: Vec<HeldEmit>, event: &Event) -> Vec<RequestedEffect> {
    let say = |HeldEmit { plugin, room, body, thread, hops }| {
        let effect = Effect::Say(Emitted { room, body, thread, hops, cause: Some(event.sender.user.clone()) });
        RequestedEffect { plugin, effect }
    };
    says.into_iter().map(say).collect()
}

/// What the store must keep.
enum Later {
    Mute(Sanction),
    Flag(Flag),
}

impl Later {
    fn names(&self) -> (&'static str, Option<&Room>, Option<EventId>) {
        match self {
            Self::Mute(mute) => ("mute", mute.room.as_ref(), None),
            Self::Flag(flag) => ("flag", Some(&flag.room), Some(flag.event)),
        }
    }
}

fn flag(event: &Event, outcome: EventOutcome, n: usize, plugin: String, reason: String) -> Flag {
    tracing::info!(plugin, room = %event.room, event = %event.id, reason, "plugin flagged an event");
    // An event that stands, or is held, is found in the store, and what is deleted there must not live on here.
    let said = (outcome == EventOutcome::Refused)
        .then(|| Body::parse(Record::json_without_place(event, &Trail::default())).ok());
    let n = u32::try_from(n).unwrap_or(u32::MAX);
    let room = event.room.clone();
    let sender = event.sender.user.clone();
    Flag { event: event.id, n, room, sender, plugin, reason, at: event.at, said: said.flatten(), closed: None }
}
