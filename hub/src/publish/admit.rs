//! The first question to a draft: may this be, here, now, as it is? Nothing has been started yet.

use super::{APPROVED, Admitted, Publisher, Sending, is_reserved, json, shape};
use crate::plugin::Approved;
use confab_config::RECORD_OVERHEAD;
use confab_protocol::{Cursor, Epoch, EventId, Key, Kind, Record, Refusal};
use std::sync::Arc;

/// The place that takes the most room to write.
const FURTHEST: Cursor = Cursor { epoch: Epoch(u64::MAX), offset: u64::MAX };

impl Publisher {
    /// Answers the first question: a refusal, or what the send takes of the bound on sends that wait for the journal.
    pub(super) async fn admit(&self, sending: &Sending) -> Result<Admitted, Refusal> {
        let draft = &sending.draft;
        // What plugins say follows from what was let in before the drain.
        if self.draining.is_cancelled() && !sending.permit.actor().is_plugin() {
            return Err(Refusal::Draining);
        }
        if sending.keyed && is_reserved(&draft.key) {
            let why = format!("a key may not begin with `{APPROVED}` or `{}`", Key::MADE_BY_HUB);
            return Err(Refusal::BadRequest(why.into()));
        }
        let bytes_max = self.limits.body.bytes().min(self.journal.record_bytes().unwrap_or(usize::MAX));
        if draft.body.as_str().len() > bytes_max {
            return Err(Refusal::LimitExceeded(format!("a body has at most {bytes_max} bytes").into()));
        }
        json::check(&draft.body, self.limits.json_depth).map_err(|why| Refusal::BadRequest(why.into()))?;
        shape::check(draft, &self.rules.settings(draft.room.as_str()))?;
        Box::pin(self.may_begin(sending)).await?;
        let waiting = self.outages.admit(self.journal.healthy(), draft.body.as_str().len())?;
        if draft.kind != Kind::Message {
            Box::pin(self.admit_change(sending, draft.kind)).await?;
        }
        Ok(waiting)
    }

    /// Whether the journal takes the record of a judged event. One that it does not take would be heard, and its place never be
    /// written down.
    pub(super) fn fits(&self, approved: &Approved) -> Result<(), Refusal> {
        let Approved { event, trail, .. } = approved;
        let Some(bytes_max) = self.journal.record_bytes() else { return Ok(()) };
        if event.body.as_str().len() + RECORD_OVERHEAD <= bytes_max {
            return Ok(()); // only what may be too large is measured
        }
        let bytes = Record { event: event.clone(), cursor: FURTHEST, trail: trail.clone() }.to_json().len();
        if bytes <= bytes_max {
            return Ok(());
        }
        tracing::warn!(id = %event.id, room = %event.room, bytes, bytes_max, "refused an event that the journal would not take");
        Err(Refusal::LimitExceeded(
            format!("an event's record has at most {bytes_max} bytes, this one has {bytes}").into(),
        ))
    }

    /// An edit, a deletion or a reaction needs a message to act on; the first two need it to be the sender's own.
    async fn admit_change(&self, sending: &Sending, kind: Kind) -> Result<(), Refusal> {
        let Some(target) = sending.draft.target else {
            return Err(Refusal::BadRequest(format!("`{}` needs a `target`", kind.as_str()).into()));
        };
        let message = self.target(sending, target).await?;
        if message.event.kind != Kind::Message {
            return Err(Refusal::BadRequest("the target is not a message".into()));
        }
        if message.event.body.is_null() && kind != Kind::Delete {
            return Err(Refusal::UnknownTarget { deleted: true }); // or it said nothing: there is nothing to change
        }
        let own = message.event.sender.user == sending.permit.actor().user;
        match kind {
            Kind::Edit | Kind::Delete if !own => Err(Refusal::PermissionDenied("somebody else said it".into())),
            _ => Ok(()),
        }
    }

    async fn target(&self, sending: &Sending, id: EventId) -> Result<Arc<Record>, Refusal> {
        let room = &sending.draft.room;
        match self.timeline.find(room, id).await {
            Ok(Some(record)) => return Ok(record),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%room, %error, "could not look for a target");
                return Err(Refusal::TimelineUnavailable);
            }
        }
        let found = self.store.event(room, id).await.map_err(|error| {
            tracing::warn!(%room, %error, "could not look for a target");
            Refusal::StoreUnavailable
        })?;
        let mut found = [found.ok_or(Refusal::UnknownTarget { deleted: false })?];
        // The store may not have its deletion yet.
        self.timeline.blank_deleted(room, &mut found).await.map_err(|error| {
            tracing::warn!(%room, %error, "could not ask whether a target was deleted lately");
            Refusal::TimelineUnavailable
        })?;
        let [found] = found;
        Ok(Arc::new(found))
    }
}
