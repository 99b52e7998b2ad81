//! Setting an event aside for a moderator, and what became of one that was.

use super::effects::EventOutcome;
use super::{HELD_RETRY, Publisher, Receipt, approved_key};
use crate::limits::Limited;
use crate::plugin::RequestedEffect;
use crate::timeline::{Known, Outcome};
use confab_protocol::{Event, EventId, Held, HeldState, Refusal};
use std::sync::Arc;

impl Publisher {
    /// Sets an event aside, and answers with what stands for its draft: that it is held, by whichever hub held it first, or
    /// what became of it where nobody held it.
    pub(super) async fn hold(
        self: &Arc<Self>,
        draft: &Event,
        held: Held,
        told: String,
        requested: Vec<RequestedEffect>,
    ) -> Result<Receipt, Refusal> {
        let id = held.id();
        let standing = match self.store.hold(&held, self.limits.user_held).await {
            Ok(Some((standing, HeldState::Waiting | HeldState::Denied))) => standing,
            Ok(Some((standing, HeldState::Approved))) => {
                let published = Event { id: standing, ..draft.clone() };
                return match self.receipt_of(&published).await? {
                    Some(receipt) => Ok(receipt),
                    None => Err(Refusal::Held { id: standing, reason: told }),
                };
            }
            Ok(None) => return Err(self.user_limits.refuse(Limited::Held, &held.event.sender.user, HELD_RETRY)),
            Err(error) => {
                tracing::warn!(room = %draft.room, %error, "could not hold an event");
                return Err(Refusal::StoreUnavailable);
            }
        };
        let refusal = Refusal::Held { id: standing, reason: told };
        match self.remember(draft, &refusal).await {
            None if standing == id => self.apply_effects(&held.event, EventOutcome::Held, requested),
            None => {}
            Some(first) => {
                if standing == id && !is_held_as(&first, id) {
                    self.withdraw(&held).await;
                }
                return self.resolve(first, draft).await;
            }
        }
        Err(refusal)
    }

    /// Should it fail, or should this hub end before, the event waits for a moderator; approving it says nothing twice.
    async fn withdraw(&self, held: &Held) {
        if let Err(error) = self.store.withdraw(held.id()).await {
            tracing::warn!(id = %held.id(), %error, "could not withdraw a held event whose draft stands elsewhere");
        }
    }

    /// The receipt of an event that was held, if it is published: it was approved before, or another hub let the same draft
    /// through.
    ///
    /// # Errors
    /// It is published, or may be, and nobody can say at the moment where.
    pub(super) async fn published(&self, held: &Held) -> Result<Option<Receipt>, Refusal> {
        let event = &held.event;
        if let Some(receipt) = self.receipt_of(event).await? {
            return Ok(Some(receipt));
        }
        let unavailable = |error| {
            tracing::warn!(room = %event.room, %error, "could not look for what became of a held event");
            Refusal::StoreUnavailable
        };
        // Its sender's own key: what it is known for, in the dedupe window and for ever.
        if let Some(known) = self.known(event, true).await?
            && known.digest == event.digest
            && !matches!(known.outcome, Outcome::Refused(_))
        {
            return self.resolve(known, event).await.map(Some);
        }
        let sender = &event.sender.user;
        let used = self.store.key_use(&event.room, sender, &event.key, &event.digest).await.map_err(unavailable)?;
        if let Some(used) = used {
            return Ok(Some(self.first_receipt(event, used.id, used.cursor).await));
        }
        // Only what was published is decided on as approved.
        if held.state == HeldState::Approved { Err(Refusal::HistoryBehind) } else { Ok(None) }
    }

    /// The receipt of the event that a held one was published as, if the store or its key knows it.
    async fn receipt_of(&self, event: &Event) -> Result<Option<Receipt>, Refusal> {
        let stored = self.store.event(&event.room, event.id).await.map_err(|error| {
            tracing::warn!(room = %event.room, %error, "could not look for a held event");
            Refusal::StoreUnavailable
        })?;
        if let Some(record) = stored {
            return Ok(Some(super::receipt(&record)));
        }
        let approved = Event { key: approved_key(event.id), ..event.clone() };
        match self.known(&approved, true).await? {
            Some(known) => self.resolve(known, &approved).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Whether a key is known for the very answer that the event with this id is held.
fn is_held_as(known: &Known, id: EventId) -> bool {
    matches!(&known.outcome, Outcome::Refused(Refusal::Held { id: held, .. }) if *held == id)
}
