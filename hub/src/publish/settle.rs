//! The last step of a send: its pending entry is removed, in the generation in which it was placed.

use super::carry::SendState;
use super::turn::Unsettled;
use super::{Publisher, receipt};
use crate::backoff::Backoff;
use crate::plugin::Approved;
use crate::timeline::{Placed, Settled};
use confab_protocol::Refusal;
use futures_util::future::BoxFuture;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// The waits between attempts to settle an event.
const SETTLE_AGAIN: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(5);

impl Publisher {
    #[tracing::instrument(level = "trace", skip_all)]
    pub(super) async fn settle(
        self: &Arc<Self>,
        placed: Placed,
        unsettled: &mut Option<Unsettled>,
    ) -> Result<SendState, Refusal> {
        let Some(pending) = &placed.pending else { return Ok(SendState::Done(receipt(&placed.record))) };
        match self.timeline.settle(pending).await {
            Ok(Settled::Done) => Ok(SendState::Done(receipt(&placed.record))),
            // Redis began anew meanwhile and may have forgotten it: the event is told again, same id and key.
            Ok(Settled::Stale) => Ok(replaced(&placed)),
            // It is durable. Whether listeners of a new order must hear it again is not known yet: that is seen to beside
            // the answer. Where a new order may have begun that does not know its key, a receipt might be one of two.
            Err(error) => {
                if let Some(left_out) = self.log_limits.may_write("settle") {
                    tracing::warn!(id = %placed.record.event.id, %error, left_out, "could not settle yet");
                }
                let answer = match self.timeline.may_answer_for(pending) {
                    true => Ok(SendState::Done(receipt(&placed.record))),
                    false => Err(Refusal::Unknown),
                };
                self.tasks.spawn(self.clone().see_through(placed, unsettled.take()));
                answer
            }
        }
    }

    /// An event leaves a hub's hands only when its pending entry was removed in the generation that it was placed in;
    /// otherwise it is placed again, same id and key. Ends with the drain: what is left then is the sweep's.
    ///
    /// Boxed, since it leads to the way in once more, from inside it.
    fn see_through(self: Arc<Self>, placed: Placed, unsettled: Option<Unsettled>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let Some(pending) = placed.pending.as_ref() else { return };
            let mut backoff = Backoff::new(SETTLE_AGAIN);
            let stale = loop {
                if self.draining.run_until_cancelled(backoff.wait()).await.is_none() {
                    return;
                }
                match self.timeline.settle(pending).await {
                    Ok(Settled::Done) => return,
                    Ok(Settled::Stale) => break replaced(&placed),
                    Err(_) => {} // still away; the timeline says so itself
                }
            };
            if let Err(refusal) = self.carry_on(stale, unsettled).await {
                tracing::warn!(id = %placed.record.event.id, refusal = refusal.name(), "could not place an event again");
            }
        })
    }
}

/// The event of a place in a generation that is over.
fn replaced(placed: &Placed) -> SendState {
    let record = placed.record.as_ref().clone();
    SendState::Replaced(Approved { event: record.event, trail: record.trail, requested: Vec::new() })
}
