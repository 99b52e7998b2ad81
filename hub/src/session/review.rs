//! The verb `review`: moderators list held events and decide on them, look at flagged ones, and say who may not speak.

use super::Session;
use super::command::{Reply, room};
use crate::auth::Identity;
use crate::review::{Error, Flagged, Listed, MODERATOR, Muted, Reviewer};
use confab_protocol::{Body, EventId, HeldState, Refusal, Room, UserId};
use serde::{Deserialize, Serialize};

/// The most held events, flags or mutes of one answer.
const LIST_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReviewIn {
    op: Op,
    id: Option<EventId>,
    room: Option<String>,
    user: Option<UserId>,
    seconds: Option<u64>,
    reason: Option<String>,
    limit: Option<usize>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Op {
    List,
    Approve,
    Deny,
    Flags,
    Close,
    Mutes,
    Mute,
    Lift,
}

#[derive(Serialize)]
struct ListOut {
    held: Vec<Listed>,
}

#[derive(Serialize)]
struct FlagsOut {
    flags: Vec<Flagged>,
}

#[derive(Serialize)]
struct MutesOut {
    mutes: Vec<Muted>,
}

#[derive(Serialize)]
struct DoneOut {
    done: bool,
}

impl Session {
    pub(super) async fn review(&self, number: u32, identity: &Identity, data: Option<&Body>) {
        let asked = match self.asked(identity, data) {
            Ok(asked) => asked,
            Err(refusal) => return self.answer(number, &Reply::Refused(refusal)),
        };
        let (reviewer, by) = (self.door.reviewer.clone(), identity.user.clone());
        self.beside(number, async move { review(&reviewer, by.as_str(), asked).await.map(Reply::Rpc) }).await;
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

/// Does what a moderator asks for.
async fn review(reviewer: &Reviewer, by: &str, asked: ReviewIn) -> Result<Body, Refusal> {
    let ReviewIn { op, id, room, user, seconds, reason, limit } = asked;
    let (why, limit) = (reason.as_deref(), limit.unwrap_or(LIST_MAX).min(LIST_MAX));
    let needs = |what: &str| Refusal::BadRequest(format!("`review` needs {what}").into());
    let named = || id.ok_or_else(|| needs("the `id` of an event"));
    let person = || match (&room, &user) {
        (Some(room), Some(user)) => match Room::new(room) {
            Ok(room) => Ok((room, user.clone())),
            Err(error) => Err(Refusal::BadRequest(error.to_string().into())),
        },
        _ => Err(needs("a `room` and a `user`")),
    };
    let done = match op {
        Op::List => {
            let listed = reviewer.list(Some(HeldState::Waiting), room.as_deref(), limit).await;
            listed.map(|held| Body::of(&ListOut { held }))
        }
        Op::Approve => reviewer.approve(named()?, by, why).await.map(|receipt| Body::of(&receipt)),
        Op::Deny => reviewer.deny(named()?, by, why).await.map(|denied| Body::of(&denied)),
        Op::Flags => reviewer.flags(true, room.as_deref(), limit).await.map(|flags| Body::of(&FlagsOut { flags })),
        Op::Close => reviewer.close_flags(named()?, by, why).await.map(|_| Body::of(&DoneOut { done: true })),
        Op::Mutes => reviewer.muted(room.as_deref(), limit).await.map(|mutes| Body::of(&MutesOut { mutes })),
        Op::Mute => {
            let ((room, user), seconds) = (person()?, seconds.ok_or_else(|| needs("`seconds`"))?);
            reviewer.mute(room, user, seconds, by, why).await.map(|muted| Body::of(&muted))
        }
        Op::Lift => {
            let (room, user) = person()?;
            reviewer.lift(&room, &user, by).await.map(|()| Body::of(&DoneOut { done: true }))
        }
    };
    done.map_err(Error::refusal)
}
