//! The verb `review`: moderators and operators list held events and decide on them, look at flagged ones, and say who may not speak, or
//! not be, where. What they change is written down.

use super::arguments;
use super::{Caller, Error, Services, Work};
use crate::access::Moderator;
use crate::actor::Actor;
use crate::dialect::command::room;
use crate::publish::Receipt;
use crate::review::{Error as ReviewError, Flagged, Listed, SanctionRequest, Sanctioned};
use confab_protocol::{Body, EventId, HeldState, Refusal, Room, UserId, VerbName};
use confab_store::{Act, SanctionKind, Which};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many held events, flags, mutes or bans are listed where nothing is said, and the most that a session is given.
const LIST: usize = 100;
/// The most that an operator is given.
const LIST_OF_OPERATOR_MAX: usize = 1000;

/// The arguments.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// What is to be done.
    pub op: Op,
    /// Which event.
    pub id: Option<EventId>,
    /// Where.
    pub room: Option<String>,
    /// Who.
    pub user: Option<UserId>,
    /// For how long.
    pub seconds: Option<u64>,
    /// Why.
    pub reason: Option<String>,
    /// In which state, where events are listed: of held ones `waiting` (if nothing is said), `approved`, `denied` or `all`; of flagged
    /// ones `open` (if nothing is said) or `closed`.
    pub state: Option<String>,
    /// The most that is listed.
    pub limit: Option<usize>,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Lists held events.
    List,
    /// Publishes one.
    Approve,
    /// Sees to it that one is never published.
    Deny,
    /// Lists flagged events.
    Flags,
    /// Closes an event's flags.
    Close,
    /// Lists mutes.
    Mutes,
    /// Mutes somebody.
    Mute,
    /// Ends a mute.
    Lift,
    /// Lists bans.
    Bans,
    /// Bans somebody.
    Ban,
    /// Ends a ban.
    Unban,
}

/// What came of it.
#[derive(Debug)]
pub enum Answer {
    /// Held events.
    Held(Vec<Listed>),
    /// Flagged events.
    Flags(Vec<Flagged>),
    /// Mutes.
    Mutes(Vec<Sanctioned>),
    /// Bans.
    Bans(Vec<Sanctioned>),
    /// An event was published.
    Approved(Receipt),
    /// An event will never be.
    Denied(Box<Listed>),
    /// The flags of an event were closed.
    Closed {
        /// The event.
        id: EventId,
        /// How many there were.
        closed: u64,
    },
    /// Somebody is muted or banned.
    Sanctioned(Sanctioned),
    /// Somebody is not any more.
    Lifted {
        /// Where; `None` is everywhere.
        room: Option<Room>,
        /// Who.
        user: UserId,
    },
}

impl Op {
    /// Its name in the audit log; nothing where somebody only looks.
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

    /// From what it keeps somebody, or does not any more.
    fn kind(self) -> SanctionKind {
        match self {
            Self::Ban | Self::Unban | Self::Bans => SanctionKind::Ban,
            _ => SanctionKind::Mute,
        }
    }
}

impl Arguments {
    /// Nothing but what is to be done.
    pub fn of(op: Op) -> Self {
        Self { op, id: None, room: None, user: None, seconds: None, reason: None, state: None, limit: None }
    }

    fn needs(what: &str) -> ReviewError {
        ReviewError::Senseless(format!("`review` needs {what}").into())
    }

    fn event(&self) -> Result<EventId, ReviewError> {
        self.id.ok_or_else(|| Self::needs("the `id` of an event"))
    }

    fn place(&self) -> Result<Option<Room>, ReviewError> {
        let room = self.room.as_deref().map(Room::new).transpose();
        room.map_err(|error| ReviewError::Senseless(error.to_string().into()))
    }

    /// Who is meant, and where.
    fn person(&self) -> Result<(Option<Room>, UserId), ReviewError> {
        match (self.place()?, &self.user) {
            (None, _) if self.op.kind() == SanctionKind::Mute => Err(Self::needs("a `room` and a `user`")),
            (room, Some(user)) => Ok((room, user.clone())),
            (_, None) => Err(Self::needs("a `user`")),
        }
    }

    /// The state of the held events that are listed; `None` is all.
    fn held_state(&self) -> Result<Option<HeldState>, ReviewError> {
        match self.state.as_deref() {
            None => Ok(Some(HeldState::Waiting)),
            Some("all") => Ok(None),
            Some(name) => HeldState::from_name(name).map(Some).ok_or_else(|| {
                ReviewError::Senseless(format!("`{name}` is no state: waiting, approved, denied or all").into())
            }),
        }
    }

    /// Whether the flags that are listed are the open ones.
    fn flags_open(&self) -> Result<bool, ReviewError> {
        match self.state.as_deref() {
            None | Some("open") => Ok(true),
            Some("closed") => Ok(false),
            Some(name) => Err(ReviewError::Senseless(format!("`{name}` is no state: open or closed").into())),
        }
    }
}

pub(super) fn begin(services: &Arc<Services>, caller: &Caller<'_>, data: Option<&Body>) -> Result<Work, Error> {
    let read: Result<Arguments, Refusal> = arguments::read(VerbName::Review, data);
    let asked = read.or_else(|refusal| services.access.may_moderate(caller.actor).and(Err(refusal)))?;
    let services = services.clone();
    let actor = caller.actor.clone();
    let bytes_max = caller.bytes_max;
    Ok(Box::pin(async move { Ok(review(&services, &actor, asked).await?.written(bytes_max)) }))
}

/// Does what a moderator or an operator asks for, and writes it down.
///
/// # Errors
/// [`Error`]; nothing has changed.
pub async fn review(services: &Services, actor: &Arc<Actor>, asked: Arguments) -> Result<Answer, Error> {
    let act = audited(actor, &asked);
    let done = permitted(services, actor, asked).await;
    match act {
        Some(act) => services.write_down(act, done).await,
        None => done,
    }
}

/// What the audit log says of it; nothing where somebody only looks.
fn audited(actor: &Actor, asked: &Arguments) -> Option<Act> {
    let Arguments { op, id, room, user, seconds, reason, .. } = asked;
    Some(Act {
        room: room.clone(),
        user: user.as_ref().map(ToString::to_string),
        event: id.map(|id| id.to_string()),
        reason: reason.clone(),
        details: seconds.map(|seconds| serde_json::json!({ "seconds": seconds }).to_string()),
        ..Services::act(actor, op.act()?)
    })
}

async fn permitted(services: &Services, actor: &Arc<Actor>, asked: Arguments) -> Result<Answer, Error> {
    let by = services.access.may_moderate(actor)?;
    if let Some(name) = &asked.room {
        room(name, services.limits.room_name_bytes)?;
    }
    let most = if actor.is_operator() { LIST_OF_OPERATOR_MAX } else { LIST };
    let limit = asked.limit.unwrap_or(LIST).min(most);
    Ok(perform(services, &by, asked, limit).await?)
}

async fn perform(services: &Services, by: &Moderator, asked: Arguments, limit: usize) -> Result<Answer, ReviewError> {
    let reviewer = &services.reviewer;
    let why = asked.reason.as_deref();
    let place = asked.room.as_deref();
    let which = Which { room: place, user: asked.user.as_ref().map(UserId::as_str) };
    Ok(match asked.op {
        Op::List => Answer::Held(reviewer.list(by, asked.held_state()?, place, limit).await?),
        Op::Approve => Answer::Approved(reviewer.approve(asked.event()?, by, why).await?),
        Op::Deny => Answer::Denied(Box::new(reviewer.deny(asked.event()?, by, why).await?)),
        Op::Flags => Answer::Flags(reviewer.flags(by, asked.flags_open()?, place, limit).await?),
        Op::Close => {
            let id = asked.event()?;
            Answer::Closed { id, closed: reviewer.close_flags(id, by, why).await? }
        }
        Op::Mutes => Answer::Mutes(reviewer.sanctioned(by, SanctionKind::Mute, which, limit).await?),
        Op::Bans => Answer::Bans(reviewer.sanctioned(by, SanctionKind::Ban, which, limit).await?),
        Op::Mute | Op::Ban => {
            let (room, user) = asked.person()?;
            let Arguments { op, seconds, reason, .. } = asked;
            let sanction = SanctionRequest { kind: op.kind(), room, user, seconds, reason };
            Answer::Sanctioned(reviewer.sanction(sanction, by).await?)
        }
        Op::Lift | Op::Unban => {
            let (room, user) = asked.person()?;
            reviewer.lift(asked.op.kind(), room.as_ref(), &user, by).await?;
            Answer::Lifted { room, user }
        }
    })
}

impl Answer {
    /// As a session is given it; a list is at most so many bytes long.
    fn written(self, bytes_max: usize) -> Body {
        #[derive(Serialize)]
        struct Done {
            done: bool,
        }
        match self {
            Self::Held(held) => list("held", held, bytes_max),
            Self::Flags(flags) => list("flags", flags, bytes_max),
            Self::Mutes(mutes) => list("mutes", mutes, bytes_max),
            Self::Bans(bans) => list("bans", bans, bytes_max),
            Self::Approved(receipt) => Body::of(&receipt),
            Self::Denied(listed) => Body::of(&listed),
            Self::Sanctioned(sanctioned) => Body::of(&sanctioned),
            Self::Closed { .. } | Self::Lifted { .. } => Body::of(&Done { done: true }),
        }
    }
}

/// A list under its name: as many of its first items as fit, and one at least.
fn list<T: Serialize>(name: &'static str, mut items: Vec<T>, bytes_max: usize) -> Body {
    loop {
        let body = Body::of(&std::collections::BTreeMap::from([(name, &items)]));
        let bytes = body.as_str().len();
        let count = items.len();
        if bytes <= bytes_max || count < 2 {
            return body;
        }
        items.truncate((count * bytes_max / bytes).clamp(1, count - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_list_holds_as_many_of_its_first_items_as_fit_and_one_at_least() {
        let listed = |bytes_max| -> Vec<String> {
            let items: Vec<String> = (0..100).map(|n| format!("{n:0>50}")).collect();
            let mut read: BTreeMap<String, Vec<String>> = list("held", items, bytes_max).read().unwrap();
            read.remove("held").unwrap()
        };
        assert_eq!(listed(100_000).len(), 100);
        assert!((15..19).contains(&listed(1000).len()), "{}", listed(1000).len());
        assert_eq!(listed(10), [format!("{:0>50}", 0)]);
    }
}
