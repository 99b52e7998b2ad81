//! What became of a draft that came before, and the answer to a retry of it.

use super::{ASK_AGAIN, Publisher, Receipt, receipt, stamped_at};
use crate::backoff::Backoff;
use crate::timeline::{Known, Outcome};
use confab_protocol::{Cursor, Event, EventId, Refusal};
use std::sync::Arc;
use tokio::time::Instant;

impl Publisher {
    pub(super) async fn known(&self, event: &Event, keyed: bool) -> Result<Option<Known>, Refusal> {
        if !keyed {
            return Ok(None);
        }
        match self.timeline.lookup(&event.room, &event.sender.user, &event.key).await {
            Ok(known) => Ok(known),
            Err(error) => {
                if let Some(left_out) = self.log_limits.may_write("lookup") {
                    tracing::warn!(room = %event.room, %error, left_out, "could not look up a key");
                }
                Err(Refusal::TimelineUnavailable)
            }
        }
    }

    /// Answers a retry with what became of the first send, waiting while that is not known to stand. It waits no longer than
    /// its sender does: nothing is to be carried on, and through a long outage retries would only gather.
    pub(super) async fn resolve(&self, mut known: Known, event: &Event) -> Result<Receipt, Refusal> {
        let begun = Instant::now();
        let mut backoff = Backoff::new(ASK_AGAIN);
        loop {
            if known.digest != event.digest {
                return Err(Refusal::KeyConflict);
            }
            match known.outcome {
                Outcome::Refused(refusal) => return Err(refusal),
                Outcome::Journaled { id, cursor } => return Ok(self.first_receipt(event, id, cursor).await),
                Outcome::Pending { .. } if begun.elapsed() > self.limits.send_deadline => return Err(Refusal::Unknown),
                Outcome::Pending { .. } => {
                    backoff.wait().await;
                    let asked = self.timeline.lookup(&event.room, &event.sender.user, &event.key).await;
                    known = asked.ok().flatten().ok_or(Refusal::Unknown)?;
                }
            }
        }
    }

    /// The receipt of an event that was placed again: that which every retry gets. Which of its places that is, the timeline says
    /// once it has read the journal's tail.
    pub(super) async fn receipt_of_retries(&self, event: &Event) -> Result<Receipt, Refusal> {
        let begun = Instant::now();
        let mut backoff = Backoff::new(ASK_AGAIN);
        while begun.elapsed() < self.limits.send_deadline && !self.tasks.is_closed() {
            let asked = self.timeline.lookup(&event.room, &event.sender.user, &event.key).await;
            if let Ok(Some(Known { outcome: Outcome::Journaled { id, cursor }, .. })) = asked {
                return Ok(self.first_receipt(event, id, cursor).await);
            }
            backoff.wait().await;
        }
        Err(Refusal::Unknown)
    }

    pub(super) async fn first_receipt(&self, event: &Event, id: EventId, cursor: Cursor) -> Receipt {
        let first = match self.timeline.find(&event.room, id).await {
            Ok(Some(record)) => Some(record),
            _ => self.store.event(&event.room, id).await.ok().flatten().map(Arc::new),
        };
        match first {
            Some(record) => Receipt { cursor, ..receipt(&record) },
            None => Receipt { id, cursor, at: stamped_at(id), verdict: None },
        }
    }

    /// Keeps a refusal for the retries, unless something else became of the draft meanwhile, on another hub: then that
    /// stands, and is returned. Where it cannot be kept, a retry is judged again, which is no harm.
    pub(super) async fn remember(&self, event: &Event, refusal: &Refusal) -> Option<Known> {
        let kept = self.timeline.remember(&event.room, &event.sender.user, &event.key, &event.digest, refusal).await;
        kept.unwrap_or_else(|error| {
            tracing::warn!(room = %event.room, %error, "could not remember a refusal");
            None
        })
    }
}
