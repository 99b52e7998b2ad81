//! The verb `review`: moderators list held events and decide on them.

use super::Session;
use super::command::{Reply, room};
use crate::auth::Identity;
use crate::review::{Listed, MODERATOR};
use confab_protocol::{Body, EventId, HeldState, Refusal};
use serde::{Deserialize, Serialize};

/// The most held events of one answer.
const LIST_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReviewIn {
    op: Op,
    id: Option<EventId>,
    room: Option<String>,
    reason: Option<String>,
    limit: Option<usize>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Op {
    List,
    Approve,
    Deny,
}

#[derive(Serialize)]
struct ListOut {
    held: Vec<Listed>,
}

impl Session {
    pub(super) async fn review(&self, number: u32, identity: &Identity, data: Option<&Body>) {
        let asked = match self.asked(identity, data) {
            Ok(asked) => asked,
            Err(refusal) => return self.answer(number, &Reply::Refused(refusal)),
        };
        let (reviewer, by) = (self.door.reviewer.clone(), identity.user.clone());
        self.beside(number, async move {
            let ReviewIn { op, id, room, reason, limit } = asked;
            let named = || id.ok_or_else(|| Refusal::BadRequest("`review` needs the `id` of a held event".into()));
            let (by, why) = (by.as_str(), reason.as_deref());
            let done = match op {
                Op::List => {
                    let limit = limit.unwrap_or(LIST_MAX).min(LIST_MAX);
                    let listed = reviewer.list(Some(HeldState::Waiting), room.as_deref(), limit).await;
                    listed.map(|held| Body::of(&ListOut { held }))
                }
                Op::Approve => reviewer.approve(named()?, by, why).await.map(|receipt| Body::of(&receipt)),
                Op::Deny => reviewer.deny(named()?, by, why).await.map(|denied| Body::of(&denied)),
            };
            done.map(Reply::Rpc).map_err(crate::review::Error::refusal)
        })
        .await;
    }

    fn asked(&self, identity: &Identity, data: Option<&Body>) -> Result<ReviewIn, Refusal> {
        if !identity.roles.iter().any(|role| role == MODERATOR) {
            return Err(Refusal::PermissionDenied);
        }
        let data = data.ok_or_else(|| Refusal::BadRequest("`review` needs arguments".into()))?;
        let asked: ReviewIn = data.read().map_err(|error| Refusal::BadRequest(format!("`review`: {error}").into()))?;
        if let Some(name) = &asked.room {
            room(name, self.door.limits.room_name_bytes)?;
        }
        Ok(asked)
    }
}
