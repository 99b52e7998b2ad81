//! Messages that plugins emit: published once the event stands that they are about, and judged like everyone's.

use super::{Publisher, Receipt, Sending, Turn, Turns, WRITE_AGAIN};
use crate::access::{Act, Claim};
use crate::actor::{Actor, PLUGIN_USER, Via};
use crate::backoff::Backoff;
use crate::log_limit::LogLimit;
use crate::plugin::Emitted;
use confab_protocol::{Draft, EventId, Key, Kind, Refusal, UserId};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// How many messages of plugins may be on their way at once.
const SPEAKING_MAX: usize = 1024;
/// How long a message that was refused for the moment is tried again.
const PATIENCE: Duration = Duration::from_secs(10);

/// The messages of plugins that this hub is about to publish.
pub struct EmitQueue {
    permits: Arc<Semaphore>,
    /// They enter a room in the order of the events that they follow from.
    turns: Mutex<Turns>,
    /// What of it comes to nothing: plugins that answer one another make thousands a second.
    refused_log: LogLimit,
}

impl Default for EmitQueue {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(SPEAKING_MAX)),
            turns: Mutex::default(),
            refused_log: LogLimit::default(),
        }
    }
}

/// A message that is about to be published, with its turn.
pub(super) struct QueuedEmit {
    plugin: String,
    emit: EmitDraft,
    turn: Turn,
    _permit: OwnedSemaphorePermit,
}

/// What a plugin emits, and as whom.
struct EmitDraft {
    actor: Arc<Actor>,
    draft: Draft,
}

impl EmitQueue {
    /// Gives each message a permit and a turn, in order; the plugins of those for which there is no permit are returned.
    pub(super) fn queue(
        &self,
        cause: EventId,
        emitted: Vec<(usize, String, Emitted)>,
    ) -> (Vec<QueuedEmit>, Vec<String>) {
        let mut queued = Vec::with_capacity(emitted.len());
        let mut left_out = Vec::new();
        let mut turns = self.turns.lock();
        for (n, plugin, message) in emitted {
            match (self.permits.clone().try_acquire_owned(), draft(cause, n, &plugin, message)) {
                (Ok(_permit), Some(emit)) => {
                    let turn = turns.next(&emit.draft.room);
                    queued.push(QueuedEmit { plugin, emit, turn, _permit });
                }
                _ => left_out.push(plugin),
            }
        }
        (queued, left_out)
    }

    /// Whether a line may be logged about a message that was refused, and how many such lines were left out before it.
    pub(super) fn may_log_refusal(&self) -> Option<u64> {
        self.refused_log.may_write()
    }
}

/// The draft of a message, under a key that it has however often it is tried.
fn draft(cause: EventId, n: usize, plugin: &str, emitted: Emitted) -> Option<EmitDraft> {
    let user = UserId::new(format!("{PLUGIN_USER}{plugin}")).ok()?;
    let key = Key::new(format!("emit:{cause}:{n}")).ok()?;
    let Emitted { room, body, thread, hops, cause } = emitted;
    let actor = Arc::new(Actor::plugin(user, Via::Plugin { name: plugin.into(), hops, cause }));
    Some(EmitDraft { actor, draft: Draft { kind: Kind::Message, room, key, body, target: None, thread } })
}

impl Publisher {
    /// Publishes them, one after the other. Boxed, since publishing is what called this.
    pub(super) fn emit_all(self: Arc<Self>, queued: Vec<QueuedEmit>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            for QueuedEmit { plugin, emit, turn, _permit } in queued {
                let room = emit.draft.room.clone();
                let key = emit.draft.key.clone();
                match self.emit(&emit, turn).await {
                    Ok(id) => {
                        self.telemetry.plugins.effect(&plugin, "say", "done");
                        tracing::debug!(plugin, %room, event = %id, %key, "plugin message published");
                    }
                    Err(refusal) => {
                        let refused = refusal.name();
                        let why = refusal.message();
                        self.telemetry.plugins.effect(&plugin, "say", "failed");
                        if let Some(left_out) = self.emits.may_log_refusal() {
                            tracing::warn!(plugin, %room, %key, refused, why = &*why, left_out, "plugin message refused");
                        }
                    }
                }
            }
        })
    }

    async fn emit(self: &Arc<Self>, emit: &EmitDraft, turn: Turn) -> Result<EventId, Refusal> {
        let begun = Instant::now();
        let mut backoff = Backoff::new(WRITE_AGAIN);
        let mut answer = self.try_to_emit(emit, turn).await;
        loop {
            match answer {
                Ok(receipt) => return Ok(receipt.id),
                Err(refusal) if !of_the_moment(&refusal) || begun.elapsed() > PATIENCE || self.tasks.is_closed() => {
                    return Err(refusal);
                }
                Err(_) => {}
            }
            backoff.wait().await;
            answer = self.try_to_emit(emit, Turn::free()).await;
        }
    }

    async fn try_to_emit(
        self: &Arc<Self>,
        EmitDraft { actor, draft }: &EmitDraft,
        turn: Turn,
    ) -> Result<Receipt, Refusal> {
        let permit = self.access.may(actor, Act::of(draft.kind), &draft.room, Claim::None)?;
        self.publish(Sending { permit, draft: draft.clone(), keyed: true }, turn).await
    }
}

/// Whether the same message may be taken in a moment, without being judged again and again.
fn of_the_moment(refusal: &Refusal) -> bool {
    refusal.temporary() && !matches!(refusal, Refusal::PluginFault { .. } | Refusal::Draining)
}
