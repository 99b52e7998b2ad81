//! The first question to a draft: may this be, here, now, as it is? Nothing has been started yet.

use super::{APPROVED, Admitted, Publisher, Sending, json, shape};
use confab_protocol::{EventId, Key, Kind, Record, Refusal};
use std::sync::Arc;

impl Publisher {
    /// Answers the first question: a refusal, or what the send takes of the bound on sends that wait for the journal.
    pub(super) async fn admit(&self, sending: &Sending) -> Result<Admitted, Refusal> {
        let draft = &sending.draft;
        // What plugins say follows from what was let in before the drain.
        if self.draining.is_cancelled() && !sending.permit.actor().is_plugin() {
            return Err(Refusal::Draining);
        }
        if sending.keyed {
            for reserved in [APPROVED, Key::MADE_BY_HUB] {
                if draft.key.as_str().starts_with(reserved) {
                    return Err(Refusal::BadRequest(format!("a key may not begin with `{reserved}`").into()));
                }
            }
        }
        let bytes_max = self.limits.body.bytes();
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
        match self.store.event(room, id).await {
            Ok(found) => found.map(Arc::new).ok_or(Refusal::UnknownTarget { deleted: false }),
            Err(error) => {
                tracing::warn!(%room, %error, "could not look for a target");
                Err(Refusal::StoreUnavailable)
            }
        }
    }
}
