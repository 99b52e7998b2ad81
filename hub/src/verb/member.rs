//! The verbs `members`, `member.add`, `member.remove` and `member.role`: who belongs to a room.

use super::room::{LIST_MAX, may_belong};
use super::{Caller, Error, Services, Work, arguments};
use crate::access::{Act, Permit};
use crate::clock::now_ms;
use confab_config::{Rank, is_direct};
use confab_protocol::{Body, Refusal, UserId, VerbName};
use confab_store::{MemberChange, Membership, Outcome, Role};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// The arguments of `members`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    room: String,
    /// Members after this one.
    after: Option<UserId>,
    limit: Option<usize>,
}

/// The arguments of `member.add`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Add {
    room: String,
    user: UserId,
    role: Option<Named>,
}

/// The arguments of `member.remove`. Oneself: to leave.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remove {
    room: String,
    user: UserId,
    reason: Option<String>,
}

/// The arguments of `member.role`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    room: String,
    user: UserId,
    role: Named,
}

/// A role by its name.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Named {
    /// One of those who belong to it.
    Member,
    /// Keeps order in it.
    Moderator,
    /// Decides about it.
    Owner,
}

impl From<Named> for Role {
    fn from(named: Named) -> Self {
        match named {
            Named::Member => Self::Member,
            Named::Moderator => Self::Moderator,
            Named::Owner => Self::Owner,
        }
    }
}

pub(super) fn list(services: &Arc<Services>, caller: &Caller<'_>, data: Option<&Body>) -> Result<Work, Error> {
    let List { room, after, limit } = arguments::read(VerbName::Members, data)?;
    let permit = services.of_members(caller, Act::SeeMembers, &room)?;
    let limit = limit.unwrap_or(LIST_MAX).clamp(1, LIST_MAX);
    let services = services.clone();
    Ok(Box::pin(async move {
        let found = services.store.members(permit.room(), after.as_ref(), limit).await;
        let found = found.map_err(|error| services.store_away("list who belongs to a room", &error))?;
        services.access.still_holds(&permit)?; // the read may have taken a while
        let next = (found.len() == limit).then(|| found.last().map(|member| member.user.clone())).flatten();
        let members: Vec<_> =
            found.iter().map(|member| json!({"user": member.user, "role": member.role.map(Role::as_str)})).collect();
        Ok(Body::of(&json!({ "members": members, "next": next })))
    }))
}

pub(super) fn add(services: &Arc<Services>, caller: &Caller<'_>, data: Option<&Body>) -> Result<Work, Error> {
    let Add { room, user, role } = arguments::read(VerbName::AddMember, data)?;
    let role = role.map_or(Role::Member, Role::from);
    let mut permit = services.of_members(caller, Act::Invite, &room)?;
    if role > Role::Member {
        permit = services.of_members(caller, Act::SetRoles, &room)?;
    }
    may_belong(&user)?;
    let max_members = services.rules.settings(permit.room().as_str()).max_members;
    Ok(change(services, permit, user, Membership::Add { role, max_members }, None))
}

pub(super) fn remove(services: &Arc<Services>, caller: &Caller<'_>, data: Option<&Body>) -> Result<Work, Error> {
    let Remove { room, user, reason } = arguments::read(VerbName::RemoveMember, data)?;
    if is_direct(&room) {
        let permit = services.of_members(caller, Act::SeeMembers, &room)?;
        let why = format!("nobody leaves {}, which is a room of two", permit.room());
        return Err(Refusal::PermissionDenied(why.into()).into());
    }
    if user == caller.actor.user {
        let permit = services.of_members(caller, Act::SeeMembers, &room)?;
        return Ok(change(services, permit, user, Membership::Remove, reason));
    }
    let permit = services.of_members(caller, Act::Remove, &room)?;
    Ok(change(services, permit, user, Membership::Remove, reason))
}

pub(super) fn set_role(services: &Arc<Services>, caller: &Caller<'_>, data: Option<&Body>) -> Result<Work, Error> {
    let SetRole { room, user, role } = arguments::read(VerbName::SetRole, data)?;
    let permit = services.of_members(caller, Act::SetRoles, &room)?;
    Ok(change(services, permit, user, Membership::Role(role.into()), None))
}

/// Whom somebody of this rank may remove: members of a lower role.
fn removable(rank: Rank) -> Role {
    match rank {
        Rank::Anyone | Rank::Member => Role::Member,
        Rank::Moderator => Role::Moderator,
        Rank::Owner | Rank::Nobody => Role::Owner,
    }
}

/// Changes who belongs to a room. What is done to others is written down.
fn change(services: &Arc<Services>, permit: Permit, user: UserId, change: Membership, reason: Option<String>) -> Work {
    let services = services.clone();
    Box::pin(async move {
        let actor = permit.actor();
        let room = permit.room().clone();
        let leaves = change == Membership::Remove && user == actor.user;
        let removes = change == Membership::Remove && !leaves && !actor.is_operator();
        let asked = MemberChange {
            room: room.clone(),
            user: user.clone(),
            change,
            asker: services.access.asker(&permit).filter(|_| !leaves),
            below: removes.then(|| removable(services.access.rank(&permit))),
            by: actor.name().to_owned(),
            at: now_ms(),
        };
        services.access.still_holds(&permit)?;
        let done = services.members.change(&asked).await.map_err(Error::Refused);
        let done = done.and_then(|outcome| answer(&services, &asked, outcome));
        let verb = match change {
            Membership::Add { .. } => "add_member",
            Membership::Remove => "remove_member",
            Membership::Role(_) => "set_role",
        };
        let by_member = matches!(change, Membership::Add { .. }) && !actor.is_operator();
        if user == actor.user || by_member {
            return done; // what members do in their own right
        }
        let mut act = Services::act(actor, verb);
        (act.room, act.user, act.reason) = (Some(room.to_string()), Some(user.to_string()), reason);
        services.write_down(act, done).await
    })
}

fn answer(services: &Services, asked: &MemberChange, outcome: Outcome) -> Result<Body, Error> {
    let MemberChange { room, user, change, .. } = asked;
    let refused = |why: &'static str| Err(Refusal::PermissionDenied(why.into()).into());
    let changed = match outcome {
        Outcome::Changed(_) => true,
        Outcome::Unchanged => false,
        Outcome::NoRoom => return Err(services.access.no_such_room().into()),
        Outcome::NotAllowed => return refused("this takes a higher role in the room than yours is now"),
        Outcome::TooHigh => return refused("they have your rank in this room, or a higher one"),
        Outcome::NoMember => return refused("they are no member of this room"),
        Outcome::LastOwner => return refused("the last owner stays one: make somebody else an owner before"),
        Outcome::Full => {
            return Err(Refusal::LimitExceeded("the room has as many members as it may have".into()).into());
        }
    };
    let role = match change {
        Membership::Add { role, .. } | Membership::Role(role) => Some(role.as_str()),
        Membership::Remove => None,
    };
    let mut answer = json!({ "room": room, "user": user, "changed": changed });
    // Somebody who is added again keeps the role that they have, which is not said here.
    if changed || !matches!(change, Membership::Add { .. }) {
        answer["role"] = json!(role);
    }
    Ok(Body::of(&answer))
}
