//! From judged to done: append → journal → settle, each tried until its outcome is known.

use super::effects::EventOutcome;
use super::turn::Unsettled;
use super::{ASK_AGAIN, Publisher, Receipt, Turn, WRITE_AGAIN, failpoint, receipt};
use crate::backoff::Backoff;
use crate::plugin::Approved;
use crate::telemetry::Stage;
use crate::timeline::{self, Appended, Placed};
use confab_protocol::{Event, Refusal, Trail};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The waits between attempts to give an event a place in a new generation.
const PLACE_AGAIN: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(1);

/// How far a send has come.
#[derive(Debug)]
pub(super) enum SendState {
    /// It has its place, and listeners hear it; it is not known to be durable.
    Appended(Placed),
    /// It is in the journal; its pending entry is still there.
    Journaled(Placed),
    /// It is in the journal, with a place in a generation that is over: those who listen in the present one have not heard it.
    Replaced(Approved),
    /// It stands.
    Done(Receipt),
}

impl Publisher {
    /// From judged to done. Only here does an event become visible and durable.
    pub(super) async fn carry(self: &Arc<Self>, approved: Approved, turn: Turn) -> Result<Receipt, Refusal> {
        let begun = Instant::now();
        let mut turn = Some(turn);
        let next = self.append(approved, &mut turn).await?;
        let unsettled = turn.and_then(Turn::entered); // the next draft of this session may enter the room
        self.telemetry.stage(Stage::Append, begun.elapsed());
        failpoint::after_append();
        self.carry_on(next, unsettled).await
    }

    /// From placed to done.
    pub(super) async fn carry_on(
        self: &Arc<Self>,
        mut state: SendState,
        mut unsettled: Option<Unsettled>,
    ) -> Result<Receipt, Refusal> {
        let mut placed_again = None;
        loop {
            let begun = Instant::now();
            state = match state {
                SendState::Appended(placed) => {
                    let next = Box::pin(self.write_down(placed)).await?;
                    self.telemetry.stage(Stage::Journal, begun.elapsed());
                    next
                }
                SendState::Journaled(placed) => Box::pin(self.settle(placed, &mut unsettled)).await?,
                SendState::Replaced(approved) => {
                    placed_again = Some(Box::new(approved.event.clone()));
                    Box::pin(self.append_again(approved, unsettled.as_mut())).await?
                }
                SendState::Done(receipt) => {
                    return match placed_again {
                        Some(event) => Box::pin(self.receipt_of_retries(&event)).await,
                        None => Ok(receipt),
                    };
                }
            };
        }
    }

    #[tracing::instrument(level = "trace", skip_all)]
    async fn append(self: &Arc<Self>, approved: Approved, turn: &mut Option<Turn>) -> Result<SendState, Refusal> {
        let entry = self.entry(approved.event, approved.trail);
        let mut backoff = Backoff::new(ASK_AGAIN);
        let mut doubt = false;
        loop {
            let only_in = turn.as_mut().and_then(Turn::only_in);
            match self.timeline.append_in_turn(&entry, only_in, || drop(turn.take())).await {
                Ok(Appended::Placed(placed)) => {
                    self.count_begun(&placed.record);
                    if let Some(turn) = turn {
                        turn.placed(placed.record.cursor);
                    }
                    // Past this point it is not refused any more, and no other append of it follows anything.
                    self.apply_effects(&placed.record.event, EventOutcome::Stands, approved.requested);
                    return Ok(match placed.pending {
                        None => SendState::Done(receipt(&placed.record)),
                        Some(_) => SendState::Appended(placed),
                    });
                }
                Ok(Appended::Known(known)) => {
                    turn.take();
                    return Box::pin(self.resolve(known, &entry.event)).await.map(SendState::Done);
                }
                Err(timeline::Error::Unavailable(why)) if !doubt => {
                    if let Some(left_out) = self.log_limits.may_write("append") {
                        tracing::warn!(room = %entry.event.room, why, left_out, "timeline unavailable");
                    }
                    return Err(Refusal::TimelineUnavailable);
                }
                // Those before it are about to be placed in the new generation; then it is its turn.
                Err(timeline::Error::NewGeneration) => {
                    if let Some(turn) = turn {
                        turn.wait_for_settled().await;
                    }
                }
                Err(timeline::Error::Journal(error)) => {
                    tracing::error!(room = %entry.event.room, %error, "could not commit");
                    return Err(Refusal::JournalUnavailable);
                }
                // Later drafts of this session may stand already: tried again, this one would come behind them unasked.
                Err(timeline::Error::Unknown(why)) if turn.is_none() => {
                    tracing::warn!(room = %entry.event.room, id = %entry.event.id, why, "append outcome unknown");
                    return Err(Refusal::Unknown);
                }
                // The step may have happened, and may happen yet: only the same step, with the same id and key, may be tried
                // again, and that the timeline is away now does not take it back.
                Err(timeline::Error::Unknown(why) | timeline::Error::Unavailable(why)) => {
                    if let Some(left_out) = self.log_limits.may_write("append") {
                        let room = &entry.event.room;
                        let id = entry.event.id;
                        tracing::warn!(%room, %id, why, left_out, "append unanswered, asking again");
                    }
                    doubt = true;
                    backoff.wait().await;
                    if self.tasks.is_closed() {
                        return Err(Refusal::Unknown);
                    }
                }
                Err(error @ (timeline::Error::Damaged(_) | timeline::Error::Refused(_))) => {
                    return Err(self.internal("timeline damaged", &error));
                }
            }
        }
    }

    /// Gives an event that is in the journal a place in the present generation. Nothing refuses it any more: it has been heard, and
    /// its sender may have its receipt. It is tried until it has its place, or the hub ends.
    async fn append_again(
        self: &Arc<Self>,
        approved: Approved,
        mut unsettled: Option<&mut Unsettled>,
    ) -> Result<SendState, Refusal> {
        if let Some(unsettled) = &mut unsettled {
            unsettled.wait().await; // what the same session said before it comes before it
        }
        let entry = self.entry(approved.event, approved.trail);
        let room = &entry.event.room;
        let id = entry.event.id;
        let mut backoff = Backoff::new(PLACE_AGAIN);
        loop {
            match self.timeline.append_again(&entry).await {
                Ok(Appended::Placed(placed)) => {
                    if let Some(unsettled) = unsettled {
                        unsettled.placed(placed.record.cursor);
                    }
                    return Ok(match placed.pending {
                        None => SendState::Done(receipt(&placed.record)),
                        Some(_) => SendState::Appended(placed),
                    });
                }
                Ok(Appended::Known(known)) => {
                    return Box::pin(self.resolve(known, &entry.event)).await.map(SendState::Done);
                }
                Err(error) => {
                    if let Some(left_out) = self.log_limits.may_write("append again") {
                        tracing::warn!(%room, %id, %error, left_out, "could not append an event to the new generation yet");
                    }
                }
            }
            backoff.wait().await;
            if self.tasks.is_closed() {
                return Err(Refusal::Unknown);
            }
        }
    }

    fn entry(&self, event: Event, trail: Trail) -> timeline::Entry {
        let window = self.rules.settings(event.room.as_str()).hot_window;
        timeline::Entry { event, trail, window_events: window.events, window_age: window.age }
    }

    #[tracing::instrument(level = "trace", skip_all)]
    async fn write_down(&self, placed: Placed) -> Result<SendState, Refusal> {
        let begun = Instant::now();
        let mut backoff = Backoff::new(WRITE_AGAIN);
        loop {
            let Err(error) = self.journal.append(&placed.record).await else { return Ok(SendState::Journaled(placed)) };
            let room = &placed.record.event.room;
            let id = placed.record.event.id;
            if begun.elapsed() < self.outages.patience() && !self.tasks.is_closed() {
                if let Some(left_out) = self.log_limits.may_write("journal") {
                    tracing::warn!(%room, %id, %error, left_out, "could not journal an event yet, trying again");
                }
                backoff.wait().await;
                continue;
            }
            // It has a place and has been heard, so there is no refusing it any more. Its pending entry stays, and the
            // sweep writes it down once the journal takes it; until then a retry hears the same.
            tracing::error!(%room, %id, %error, "pending event left to the sweep");
            return Err(Refusal::Unknown);
        }
    }
}
