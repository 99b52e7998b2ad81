//! The verb `review`: moderators list held events and decide on them, look at flagged ones, and say who may not speak, or
//! not be, where.

use super::{Session, answer};
use crate::access::Moderator;
use crate::audit;
use crate::auth::Identity;
use crate::dialect::Dialect;
use crate::dialect::command::{Reply, room};
use crate::review::{Error, Flagged, Listed, Reviewer, Sanctioned, Sentence};
use confab_protocol::{Body, EventId, HeldState, Refusal, Room, UserId};
use confab_store::{Act, Keeps, Which};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The most held events, flags, mutes or bans of one answer.
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

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
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
    Bans,
    Ban,
    Unban,
}

#[derive(Serialize)]
struct ListOut<'a> {
    held: &'a [Listed],
}

#[derive(Serialize)]
struct FlagsOut<'a> {
    flags: &'a [Flagged],
}

#[derive(Serialize)]
struct MutesOut<'a> {
    mutes: &'a [Sanctioned],
}

#[derive(Serialize)]
struct BansOut<'a> {
    bans: &'a [Sanctioned],
}

#[derive(Serialize)]
struct DoneOut {
    done: bool,
}

impl Session {
    pub(super) async fn review(&self, number: u32, identity: &Identity, data: Option<&Body>) {
        let asked = self.asked(identity, data);
        let bytes_max = answer::content_max(&self.outbox);
        let Some(act) = self.act(identity, data) else {
            return match asked {
                Ok((moderator, asked)) => {
                    self.beside(number, look(self.door.reviewer.clone(), moderator, asked, bytes_max)).await
                }
                Err(refusal) => self.answer(number, &Reply::Refused(refusal)),
            };
        };
        let audit = self.door.audit.clone();
        let is_moderator = !matches!(asked, Err(Refusal::PermissionDenied(_)));
        let reviewer = self.door.reviewer.clone();
        self.beside(number, async move {
            let done = match asked {
                Ok((moderator, asked)) => look(reviewer, moderator, asked, bytes_max).await,
                Err(refusal) => Err(refusal),
            };
            let result = done.as_ref().map_or_else(audit::refused, |_| audit::OK.to_owned());
            let act = Act { result, ..act };
            if is_moderator {
                audit.record(act).await;
            } else {
                audit.record_stranger(act).await;
            }
            done
        })
        .await;
    }

    /// What the audit log says of it; nothing where somebody only looks.
    fn act(&self, identity: &Identity, data: Option<&Body>) -> Option<Act> {
        let ReviewIn { op, id, room, user, seconds, reason, .. } = data?.read().ok()?;
        let via = if matches!(self.dialect, Dialect::SocketIo) { "socketio" } else { "rpc" };
        Some(Act {
            by: identity.user.to_string(),
            via: via.to_owned(),
            verb: op.act()?.to_owned(),
            room,
            user: user.map(|user| user.to_string()),
            event: id.map(|id| id.to_string()),
            reason,
            details: seconds.map(|seconds| serde_json::json!({ "seconds": seconds }).to_string()),
            ..Act::default()
        })
    }

    fn asked(&self, identity: &Identity, data: Option<&Body>) -> Result<(Moderator, ReviewIn), Refusal> {
        let moderator = self.door.access.may_moderate(&self.actor(identity))?;
        let data = data.ok_or_else(|| Refusal::BadRequest("`review` needs arguments".into()))?;
        let asked: ReviewIn = data.read().map_err(|error| Refusal::BadRequest(format!("`review`: {error}").into()))?;
        if let Some(name) = &asked.room {
            room(name, self.door.limits.room_name_bytes)?;
        }
        Ok((moderator, asked))
    }
}

impl Op {
    /// The act, as the audit log names it.
    fn act(self) -> Option<&'static str> {
        match self {
            Self::List | Self::Flags | Self::Mutes | Self::Bans => None,
            Self::Approve => Some("approve"),
            Self::Deny => Some("deny"),
            Self::Close => Some("close_flags"),
            Self::Mute => Some("mute"),
            Self::Lift => Some("unmute"),
            Self::Ban => Some("ban"),
            Self::Unban => Some("unban"),
        }
    }
}

/// Does what a moderator asks for, as a reply.
async fn look(reviewer: Arc<Reviewer>, by: Moderator, asked: ReviewIn, bytes_max: usize) -> Result<Reply, Refusal> {
    review(&reviewer, &by, asked, bytes_max).await.map(Reply::Rpc)
}

/// Does what a moderator asks for; a list is at most so many bytes long.
async fn review(reviewer: &Reviewer, by: &Moderator, asked: ReviewIn, bytes_max: usize) -> Result<Body, Refusal> {
    let ReviewIn { op, id, room, user, seconds, reason, limit } = asked;
    let (why, limit) = (reason.as_deref(), limit.unwrap_or(LIST_MAX).min(LIST_MAX));
    let needs = |what: &str| Refusal::BadRequest(format!("`review` needs {what}").into());
    let named = || id.ok_or_else(|| needs("the `id` of an event"));
    let place =
        || room.as_deref().map(Room::new).transpose().map_err(|error| Refusal::BadRequest(error.to_string().into()));
    let person = |keeps| match (place()?, &user) {
        (None, _) if keeps == Keeps::FromSpeaking => Err(needs("a `room` and a `user`")),
        (room, Some(user)) => Ok((room, user.clone())),
        (_, None) => Err(needs("a `user`")),
    };
    let which = Which { room: room.as_deref(), user: user.as_ref().map(UserId::as_str) };
    let done = match op {
        Op::List => {
            let listed = reviewer.list(by, Some(HeldState::Waiting), room.as_deref(), limit).await;
            listed.map(|held| answer::list(held, bytes_max, |held| Body::of(&ListOut { held })))
        }
        Op::Approve => reviewer.approve(named()?, by, why).await.map(|receipt| Body::of(&receipt)),
        Op::Deny => reviewer.deny(named()?, by, why).await.map(|denied| Body::of(&denied)),
        Op::Flags => {
            let flags = reviewer.flags(by, true, room.as_deref(), limit).await;
            flags.map(|flags| answer::list(flags, bytes_max, |flags| Body::of(&FlagsOut { flags })))
        }
        Op::Close => reviewer.close_flags(named()?, by, why).await.map(|_| Body::of(&DoneOut { done: true })),
        Op::Mutes => {
            let mutes = reviewer.sanctioned(by, Keeps::FromSpeaking, which, limit).await;
            mutes.map(|mutes| answer::list(mutes, bytes_max, |mutes| Body::of(&MutesOut { mutes })))
        }
        Op::Bans => {
            let bans = reviewer.sanctioned(by, Keeps::Out, which, limit).await;
            bans.map(|bans| answer::list(bans, bytes_max, |bans| Body::of(&BansOut { bans })))
        }
        Op::Mute | Op::Ban => {
            let keeps = if op == Op::Mute { Keeps::FromSpeaking } else { Keeps::Out };
            let (room, user) = person(keeps)?;
            let sentence = Sentence { keeps, room, user, seconds, reason };
            reviewer.sentence(sentence, by).await.map(|sanctioned| Body::of(&sanctioned))
        }
        Op::Lift | Op::Unban => {
            let keeps = if op == Op::Lift { Keeps::FromSpeaking } else { Keeps::Out };
            let (room, user) = person(keeps)?;
            reviewer.lift(keeps, room.as_ref(), &user, by).await.map(|()| Body::of(&DoneOut { done: true }))
        }
    };
    done.map_err(Error::refusal)
}
