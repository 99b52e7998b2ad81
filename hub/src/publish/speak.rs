//! Plugins' own messages: said once the event stands that they are about, and judged like everyone's.

use super::{Publisher, Receipt, Sending, Turn, Turns, WRITE_AGAIN};
use crate::access::{Act, Claim};
use crate::actor::{Actor, PLUGIN_USER, Via};
use crate::backoff::Backoff;
use crate::log_limit::LogLimit;
use crate::plugin::Said;
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

/// What plugins of this hub are about to say.
pub struct Speech {
    permits: Arc<Semaphore>,
    /// They enter a room in the order of the events that they follow from.
    turns: Mutex<Turns>,
    /// What of it comes to nothing: plugins that answer one another make thousands a second.
    refused_log: LogLimit,
}

impl Default for Speech {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(SPEAKING_MAX)),
            turns: Mutex::default(),
            refused_log: LogLimit::default(),
        }
    }
}

/// A message that is about to be said, with its place and its turn.
pub(super) struct Line {
    plugin: String,
    words: Words,
    turn: Turn,
    _place: OwnedSemaphorePermit,
}

/// What a plugin says, and as whom.
struct Words {
    actor: Arc<Actor>,
    draft: Draft,
}

impl Speech {
    /// Gives each message a place and a turn, in order; those that find no place are returned.
    pub(super) fn line_up(&self, cause: EventId, said: Vec<(usize, String, Said)>) -> (Vec<Line>, Vec<String>) {
        let (mut lines, mut left_out) = (Vec::with_capacity(said.len()), Vec::new());
        let mut turns = self.turns.lock();
        for (n, plugin, said) in said {
            match (self.permits.clone().try_acquire_owned(), words(cause, n, &plugin, said)) {
                (Ok(_place), Some(words)) => {
                    let turn = turns.next(&words.draft.room);
                    lines.push(Line { plugin, words, turn, _place });
                }
                _ => left_out.push(plugin),
            }
        }
        (lines, left_out)
    }

    /// Whether a line may be written about words that came to nothing, and how many were left out before it.
    pub(super) fn may_log_refusal(&self) -> Option<u64> {
        self.refused_log.may_write()
    }
}

/// The draft that a plugin's words are, under a key that they have however often they are said.
fn words(cause: EventId, n: usize, plugin: &str, said: Said) -> Option<Words> {
    let user = UserId::new(format!("{PLUGIN_USER}{plugin}")).ok()?;
    let key = Key::new(format!("emit:{cause}:{n}")).ok()?;
    let Said { room, body, thread, hops, cause } = said;
    let actor = Arc::new(Actor::plugin(user, Via::Plugin { name: plugin.into(), hops, cause }));
    Some(Words { actor, draft: Draft { kind: Kind::Message, room, key, body, target: None, thread } })
}

impl Publisher {
    /// Says them, one after the other. Boxed, since it leads to the way in once more, from inside it.
    pub(super) fn speak(self: Arc<Self>, lines: Vec<Line>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            for Line { plugin, words, turn, _place } in lines {
                let (room, key) = (words.draft.room.clone(), words.draft.key.clone());
                match self.say(&words, turn).await {
                    Ok(id) => {
                        self.telemetry.plugins.effect(&plugin, "say", "done");
                        tracing::debug!(plugin, %room, event = %id, %key, "plugin said something");
                    }
                    Err(refusal) => {
                        let (refused, why) = (refusal.name(), refusal.message());
                        self.telemetry.plugins.effect(&plugin, "say", "failed");
                        if let Some(left_out) = self.speech.may_log_refusal() {
                            tracing::warn!(plugin, %room, %key, refused, why = &*why, left_out, "plugin's message refused");
                        }
                    }
                }
            }
        })
    }

    async fn say(self: &Arc<Self>, words: &Words, turn: Turn) -> Result<EventId, Refusal> {
        let begun = Instant::now();
        let mut backoff = Backoff::new(WRITE_AGAIN);
        let mut answer = self.try_saying(words, turn).await;
        loop {
            match answer {
                Ok(receipt) => return Ok(receipt.id),
                Err(refusal) if !of_the_moment(&refusal) || begun.elapsed() > PATIENCE || self.tasks.is_closed() => {
                    return Err(refusal);
                }
                Err(_) => {}
            }
            backoff.wait().await;
            answer = self.try_saying(words, Turn::free()).await;
        }
    }
}

impl Publisher {
    async fn try_saying(self: &Arc<Self>, Words { actor, draft }: &Words, turn: Turn) -> Result<Receipt, Refusal> {
        let permit = self.access.may(actor, Act::of(draft.kind), &draft.room, Claim::None)?;
        self.publish(Sending { permit, draft: draft.clone(), keyed: true }, turn).await
    }
}

/// Whether the same message may be taken in a moment, without being judged again and again.
fn of_the_moment(refusal: &Refusal) -> bool {
    refusal.temporary() && !matches!(refusal, Refusal::PluginFault { .. } | Refusal::Draining)
}
