//! The way in: admit → stamp → judge → append → journal → receipt.
//!
//! A send that has been started is carried to its end even if its sender goes away or is told that the outcome is
//! unknown: it runs as a task of the hub, not of the session.

mod admit;
mod begin;
mod carry;
mod effects;
mod emit;
mod ephemeral;
mod failpoint;
mod hold;
mod json;
mod known;
mod outage;
mod settle;
mod shape;
mod turn;
mod words;

pub use emit::EmitQueue;
pub use ephemeral::{Entered, Leaving};
pub use json::check as check_json;
pub use outage::{Admitted, Outages};
pub use turn::{Turn, Turns};

use crate::access::{Access, Moderator, Permit};
use crate::actor::Actor;
use crate::journal::Journal;
use crate::limits::UserLimits;
use crate::log_limit::LogLimits;
use crate::plugin::{Approved, Chain, EventContext, Judged, Origin};
use crate::sanctions::Sanctions;
use crate::signals::Signals;
use crate::telemetry::{Stage, Telemetry};
use crate::timeline::{Known, Timeline};
use arc_swap::ArcSwap;
use confab_config::{Limits, Rooms as RoomRules};
use confab_protocol::{
    Body, Cursor, Draft, Event, EventId, Held, HeldState, Key, Kind, Millis, Refusal, Sender, VerdictName,
};
use confab_store::Store;
use effects::EventOutcome;
use futures_util::FutureExt;
use serde::Serialize;
use std::any::Any;
use std::ops::RangeInclusive;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// The answer to a send that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The event.
    pub id: EventId,
    /// Its place.
    #[serde(flatten)]
    pub cursor: Cursor,
    /// When the hub stamped it.
    pub at: Millis,
    /// Whether plugins let it stand as it was (`accept`) or gave it another body (`replace`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<VerdictName>,
}

/// A draft with all that the way in needs to know of it.
#[derive(Clone, Debug)]
pub struct Sending {
    /// That its sender may, and where: whatever room the draft names.
    pub permit: Permit,
    /// What they send.
    pub draft: Draft,
    /// Whether the key is the client's own, so that it may have come before.
    pub keyed: bool,
}

impl Sending {
    /// With its body in the compact form, in which it is measured, judged and kept: however a client's library writes JSON,
    /// the same value takes the same room.
    fn compact(mut self) -> Self {
        self.draft.body = self.draft.body.compact();
        self.draft.room = self.permit.room().clone();
        self
    }
}

/// Everything that the way in passes.
pub struct Publisher {
    /// Gives events their place.
    pub timeline: Timeline,
    /// Keeps them.
    pub journal: Journal,
    /// What becomes of sends while it takes nothing.
    pub outages: Outages,
    /// Knows older events, and those that wait for a moderator.
    pub store: Store,
    /// Tells senders something.
    pub signals: Arc<Signals>,
    /// Whether permits still hold.
    pub access: Arc<Access>,
    /// Where plugins' mutes are kept.
    pub sanctions: Arc<Sanctions>,
    /// What plugins are about to say themselves.
    pub emits: EmitQueue,
    /// Who left, as far as plugins are being asked about it.
    pub leaving: Leaving,
    /// Judges them.
    pub chain: ArcSwap<Chain>,
    /// How large, how deep, how long.
    pub limits: Limits,
    /// How fast, by user.
    pub user_limits: Arc<UserLimits>,
    /// What rooms are.
    pub rules: RoomRules,
    /// Keeps the log from filling up while a service is away.
    pub log_limits: LogLimits,
    /// Counts and times.
    pub telemetry: Arc<Telemetry>,
    /// The sends under way: a drain waits for them.
    pub tasks: TaskTracker,
    /// Whether the hub takes nothing new.
    pub draining: CancellationToken,
}

/// The key under which an approved event is published: its sender's own stays bound to the answer "held".
fn approved_key(id: EventId) -> Key {
    Key::new(format!("{APPROVED}{id}")).expect("an id is short and has no control characters")
}

/// Whether only the hub itself makes such keys.
fn is_reserved(key: &Key) -> bool {
    [APPROVED, Key::MADE_BY_HUB].iter().any(|reserved| key.as_str().starts_with(reserved))
}

/// What the keys of approved events begin with. No client's own may: it would stand for another's approval.
const APPROVED: &str = "approved:";

/// The waits between attempts to write something down that may be away for longer: an event, or what plugins asked for.
const WRITE_AGAIN: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(2);

/// When a sender may try again of whose events as many wait for a moderator as may.
const HELD_RETRY: Duration = Duration::from_secs(60);

/// How long a send in another hub's hands is asked after again, at first and at most.
const ASK_AGAIN: RangeInclusive<Duration> = Duration::from_millis(3)..=Duration::from_millis(100);

impl Publisher {
    /// The turns of a session.
    pub fn turns(&self) -> Turns {
        Turns::new(self.timeline.settles())
    }

    /// Carries a draft in and answers with its receipt. Past the send deadline the answer is "unknown", and the send
    /// goes on by itself.
    pub async fn publish(self: &Arc<Self>, sending: Sending, turn: Turn) -> Result<Receipt, Refusal> {
        let (tell, told) = oneshot::channel();
        self.publish_and_tell(sending, turn, |answer| drop(tell.send(answer)));
        told.await.unwrap_or(Err(Refusal::Unknown)) // the runtime is ending
    }

    /// As [`Self::publish`], beside whoever asks: the answer is told in the task that carries the send, so that nobody is
    /// woken to pass it on.
    pub fn publish_and_tell(
        self: &Arc<Self>,
        sending: Sending,
        turn: Turn,
        tell: impl FnOnce(Result<Receipt, Refusal>) + Send + 'static,
    ) {
        let span = tracing::trace_span!("send", room = %sending.draft.room, key = %sending.draft.key);
        // Boxed where it is made: it is large, and would be moved five times on its way into a task.
        let publisher = self.clone();
        let walk = Box::pin(self.clone().walk(sending, turn));
        let work = async move {
            let mut walk = AssertUnwindSafe(walk).catch_unwind();
            let answer = timeout(publisher.limits.send_deadline, &mut walk).await;
            let goes_on = answer.is_err();
            let answer = match answer {
                Ok(Ok(answer)) => answer,
                Ok(Err(panic)) => Err(publisher.internal("a send panicked", &said(&*panic))),
                Err(_) => Err(Refusal::Unknown),
            };
            publisher.telemetry.sent(answer.as_ref().err());
            tell(answer);
            if goes_on && let Err(panic) = walk.await {
                publisher.internal("a send panicked", &said(&*panic));
            }
        };
        self.tasks.spawn(work.instrument(span));
    }

    async fn walk(self: Arc<Self>, sending: Sending, mut turn: Turn) -> Result<Receipt, Refusal> {
        let begun = Instant::now();
        let sending = sending.compact();
        let admitted = self.admit(&sending).await;
        let Sending { permit, draft, keyed } = sending;
        let event = stamp(permit.actor().sender(), draft);
        let _waiting = match admitted {
            Ok(waiting) => waiting,
            // What stands stays so: its target may have been deleted since, or the settings changed.
            Err(refusal) if keyed && !refusal.temporary() && !is_reserved(&event.key) => {
                drop(turn);
                return Box::pin(self.only_known(&event, keyed, refusal)).await;
            }
            Err(refusal) => return Err(refusal),
        };
        self.telemetry.stage(Stage::Admit, begun.elapsed());

        let judging = Instant::now();
        let chain = self.chain.load_full();
        let context = EventContext::of(event.kind, Origin::from(&**permit.actor()));
        let judged = match self.judge_unless_known(&chain, &event, context, keyed).await? {
            Ok(judged) => judged,
            Err(known) => {
                drop(turn); // the first send has its place: nobody need wait for this one
                return Box::pin(self.resolve(known, &event)).await;
            }
        };
        self.telemetry.stage(Stage::Judge, judging.elapsed());
        let approved = match judged {
            Judged::Approved(approved) => approved,
            // What a plugin said stands for retries too; that one failed says nothing about the next try.
            Judged::Refused(refusal @ Refusal::PluginFault { .. }, ..) => return Err(refusal),
            Judged::Refused(refusal, _, requested) => {
                drop(turn); // it enters no room any more
                if let Some(first) = Box::pin(self.remember(&event, &refusal)).await {
                    return Box::pin(self.resolve(first, &event)).await;
                }
                self.apply_effects(&event, EventOutcome::Refused, requested);
                return Err(refusal);
            }
            Judged::Held { event: held, plugin, reason, told, trail, requested } => {
                let (says, requested) = effects::hold_emits(requested);
                let held =
                    Held { held_at: held.at, event: held, trail, plugin, reason, state: HeldState::Waiting, says };
                drop(turn);
                return Box::pin(self.hold(&event, held, told, requested)).await;
            }
        };
        self.fits(&approved)?;
        turn.wait().await;
        // Plugins and those before it may have taken a while.
        self.access.still_holds(&permit)?;
        self.carry(approved, turn).await
    }

    /// What the plugins say, or, as the error, what is known of the key.
    async fn judge_unless_known(
        &self,
        chain: &Chain,
        event: &Event,
        context: EventContext,
        keyed: bool,
    ) -> Result<Result<Judged, Known>, Refusal> {
        // A plugin that counts must not count a retry of what stands.
        let known_first = keyed && chain.leaves_traces(event.room.as_str(), context.kind);
        if known_first && let Some(known) = self.known(event, keyed).await? {
            return Ok(Err(known));
        }
        // Otherwise asking what is known takes a round trip, and judging takes none: side by side.
        let known = self.known(event, keyed && !known_first);
        let (known, judged) = tokio::join!(known, chain.judge(event.clone(), context));
        Ok(known?.map_or(Ok(judged), Err))
    }

    /// Answers a draft of somebody who has no permit for it, with this refusal, or with its receipt if it stands already.
    pub async fn refuse(
        &self,
        actor: &Actor,
        mut draft: Draft,
        keyed: bool,
        refusal: Refusal,
    ) -> Result<Receipt, Refusal> {
        draft.body = draft.body.compact();
        let answer = self.only_known(&stamp(actor.sender(), draft), keyed, refusal).await;
        self.telemetry.sent(answer.as_ref().err());
        answer
    }

    /// What may not be said any more may stand from before, and a retry of that is answered as ever.
    async fn only_known(&self, event: &Event, keyed: bool, refusal: Refusal) -> Result<Receipt, Refusal> {
        match self.known(event, keyed).await? {
            Some(known) => self.resolve(known, event).await,
            None => Err(refusal),
        }
    }

    /// Publishes an event that a moderator approved: a new place, its own id and time. What plugins had to say about it is
    /// said now. One that is published, whenever that was, is answered with its receipt.
    pub async fn approve(self: &Arc<Self>, by: &Moderator, held: Held) -> Result<Receipt, Refusal> {
        if let Some(receipt) = Box::pin(self.published(&held)).await? {
            return Ok(receipt);
        }
        self.access.may_stand(by, &held.event).await?;
        let Held { mut event, trail, says, .. } = held;
        let waiting = self.outages.admit(self.journal.healthy(), event.body.as_str().len())?;
        event.key = approved_key(event.id);
        let walk = self.tasks.spawn({
            let publisher = self.clone();
            async move {
                let _waiting = waiting;
                let requested = effects::release_emits(says, &event);
                let approved = Approved { event, trail, requested };
                publisher.fits(&approved)?;
                publisher.carry(approved, Turn::free()).await
            }
        });
        match timeout(self.limits.send_deadline, walk).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(panic)) => Err(self.internal("an approval panicked", &panic)),
            Err(_) => Err(Refusal::Unknown),
        }
    }

    fn internal(&self, what: &str, error: &(dyn std::fmt::Display + Send + Sync)) -> Refusal {
        let incident = EventId::fresh().to_string();
        tracing::error!(incident, %error, "{what}");
        Refusal::Internal { incident }
    }
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("nothing")
}

/// Gives a draft its id, its sender and its time. The id's own milliseconds are the time, so that both always agree.
fn stamp(sender: Sender, draft: Draft) -> Event {
    let id = EventId::fresh();
    let digest = draft.digest();
    let Draft { kind, room, key, body, target, thread } = draft;
    let body = if kind == Kind::Delete { Body::null() } else { body };
    let annotations = confab_protocol::Annotations::new();
    Event { kind, id, room, sender, key, digest, at: stamped_at(id), body, target, thread, annotations }
}

fn stamped_at(id: EventId) -> Millis {
    id.0.get_timestamp().map_or(0, |time| {
        let (seconds, nanos) = time.to_unix();
        seconds * 1000 + u64::from(nanos / 1_000_000)
    })
}

fn receipt(record: &confab_protocol::Record) -> Receipt {
    let replaced = record.trail.steps.iter().any(|step| step.verdict == VerdictName::Replace && !step.shadow);
    let verdict = if replaced { VerdictName::Replace } else { VerdictName::Accept };
    Receipt { id: record.event.id, cursor: record.cursor, at: record.event.at, verdict: Some(verdict) }
}
