//! Review: what moderators see of held events, and what becomes of those when they decide.
//!
//! A decision stands in the store, so that of two moderators only one decides. The sender is told by a signal, on every hub that
//! serves them; a hub that did not hear it finds the decision in the store.

mod moderate;
mod tell;

pub use moderate::{Flagged, RevokedTokens, SanctionRequest, Sanctioned};

use crate::access::Moderator;
use crate::publish::{Publisher, Receipt};
use crate::sanctions::Sanctions;
use crate::signals::Signals;
use crate::telemetry::Telemetry;
use confab_protocol::{Body, EventId, Held, HeldEmit, HeldState, Record, Refusal};
use confab_store::{SanctionKind, Store};
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;

/// The longest reason for a decision, in bytes.
const REASON_BYTES_MAX: usize = 1024;

/// Lists held events and decides on them.
pub struct Reviewer {
    store: Store,
    publisher: Arc<Publisher>,
    signals: Arc<Signals>,
    sanctions: Arc<Sanctions>,
    telemetry: Arc<Telemetry>,
}

/// Why a decision came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such event.
    #[error("no event {0} is held")]
    Missing(EventId),
    /// Somebody else has decided.
    #[error("event {id} was {} before", .state.as_str())]
    Decided {
        /// The event.
        id: EventId,
        /// What they decided.
        state: HeldState,
    },
    /// No flag of such an event is open.
    #[error("no event {0} is flagged")]
    NotFlagged(EventId),
    /// There is nothing to lift.
    #[error("they are not {} there", moderate::participle(*.0))]
    NotSanctioned(SanctionKind),
    /// It makes no sense as it is.
    #[error("{0}")]
    Senseless(Cow<'static, str>),
    /// The reason cannot be kept.
    #[error("a reason has at most {REASON_BYTES_MAX} bytes and no control characters")]
    Reason,
    /// It could not be published now; approve it again.
    #[error("could not publish the approved event: {}; approve it again", .0.message())]
    Refused(Refusal),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] confab_store::Error),
}

impl Error {
    /// The number of what a session is told.
    pub fn code(&self) -> u32 {
        match self {
            Self::Missing(_) | Self::NotFlagged(_) => Refusal::UnknownTarget { deleted: false }.code(),
            Self::Decided { .. } | Self::NotSanctioned(_) | Self::Senseless(_) | Self::Reason => {
                Refusal::BadRequest(Cow::Borrowed("")).code()
            }
            Self::Refused(refusal) => refusal.code(),
            Self::Store(_) => Refusal::StoreUnavailable.code(),
        }
    }

    /// What a session is told.
    pub fn refusal(self) -> Refusal {
        match self {
            Self::Missing(_) | Self::NotFlagged(_) => Refusal::UnknownTarget { deleted: false },
            Self::Decided { .. } | Self::NotSanctioned(_) | Self::Senseless(_) | Self::Reason => {
                Refusal::BadRequest(self.to_string().into())
            }
            Self::Refused(refusal) => refusal,
            Self::Store(error) => {
                tracing::warn!(%error, "could not review");
                Refusal::StoreUnavailable
            }
        }
    }
}

/// A held event as it is listed.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// By which it is approved or denied.
    pub id: EventId,
    /// Where it stands.
    pub state: &'static str,
    /// Which plugin held it.
    pub plugin: String,
    /// Why.
    pub reason: String,
    /// When, in milliseconds since 1970.
    pub held_at: u64,
    /// What would have happened, with the trail so far.
    pub event: Body,
    /// What plugins will say about it once it is published.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub says: Vec<HeldEmit>,
}

impl From<Held> for Listed {
    fn from(held: Held) -> Self {
        let event = Body::parse(Record::json_without_place(&held.event, &held.trail)).unwrap_or_else(|_| Body::null());
        let id = held.id();
        let Held { plugin, reason, held_at, state, says, .. } = held;
        Self { id, state: state.as_str(), plugin, reason, held_at, event, says }
    }
}

impl Reviewer {
    /// Reviews what is in this store.
    pub fn new(
        store: Store,
        publisher: Arc<Publisher>,
        signals: Arc<Signals>,
        sanctions: Arc<Sanctions>,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Self { store, publisher, signals, sanctions, telemetry }
    }

    /// The oldest `limit` held events, of one state or all, of one room or all.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(
        &self,
        _: &Moderator,
        state: Option<HeldState>,
        room: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, Error> {
        Ok(self.store.held(state, room, limit).await?.into_iter().map(Listed::from).collect())
    }

    /// Publishes an event: a new place, its own id and time. Safe to repeat.
    ///
    /// # Errors
    /// [`Error`]; the event waits as before, unless it was denied.
    pub async fn approve(&self, id: EventId, by: &Moderator, why: Option<&str>) -> Result<Receipt, Error> {
        check(why)?;
        let held = self.store.held_one(id).await?.ok_or(Error::Missing(id))?;
        if held.state == HeldState::Denied {
            return Err(Error::Decided { id, state: held.state });
        }
        // Published first: should the hub die in between it still waits, and approving it again says it once.
        let receipt = self.publisher.approve(by, held).await.map_err(Error::Refused)?;
        match self.store.decide(id, HeldState::Approved, by.name(), why).await? {
            Some(held) => self.decided(&held, by, why).await,
            // Denied in the blink of an eye between: it can be heard, and the store says what is.
            None => match self.store.overrule(id, by.name()).await? {
                Some(held) => {
                    tracing::warn!(%id, by = by.name(), "an event was denied while it was being approved: it is published");
                    self.decided(&held, by, why).await;
                }
                None => tracing::info!(%id, by = by.name(), "a held event was approved again"),
            },
        }
        Ok(receipt)
    }

    /// Sees to it that an event is never published.
    ///
    /// # Errors
    /// [`Error`]; the event stands as before.
    pub async fn deny(&self, id: EventId, by: &Moderator, why: Option<&str>) -> Result<Listed, Error> {
        check(why)?;
        match self.store.decide(id, HeldState::Denied, by.name(), why).await? {
            Some(held) => {
                self.decided(&held, by, why).await;
                Ok(held.into())
            }
            None => match self.store.held_one(id).await? {
                Some(held) => Err(Error::Decided { id, state: held.state }),
                None => Err(Error::Missing(id)),
            },
        }
    }

    async fn decided(&self, held: &Held, by: &Moderator, why: Option<&str>) {
        let id = held.id();
        let room = &held.event.room;
        let decision = held.state.as_str();
        tracing::info!(%id, %room, by = by.name(), decision, why, "a held event was decided");
        self.telemetry.reviewed(decision);
        if held.state == HeldState::Denied {
            held.says.iter().for_each(|words| self.telemetry.plugins.effect(&words.plugin, "say", "dropped"));
        }
        self.signals.tell_decided(&held.event.sender.user, tell::decision(held, why)).await;
    }
}

fn check(why: Option<&str>) -> Result<(), Error> {
    match why {
        Some(why) if why.len() > REASON_BYTES_MAX || why.chars().any(char::is_control) => Err(Error::Reason),
        _ => Ok(()),
    }
}
