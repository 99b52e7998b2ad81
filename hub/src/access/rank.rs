//! Ranks: which one an act needs in a room, and which one somebody has.

use super::Act;
use crate::actor::{ADMIN, Actor, MODERATOR, Via};
use confab_config::{Rank, RoomSettings};
use confab_store::Role;

/// The rank that an act needs.
pub(super) fn needed(act: Act, settings: &RoomSettings) -> Rank {
    let permissions = &settings.permissions;
    match act {
        Act::Join | Act::Read | Act::SeeListeners | Act::TakeBack | Act::Type | Act::SeeMembers => Rank::Anyone,
        Act::Speak => permissions.send,
        Act::React => permissions.react,
        Act::Invite => permissions.invite,
        Act::Remove => permissions.remove,
        Act::Manage => permissions.manage,
        Act::SetRoles => Rank::Owner,
    }
}

/// What an actor is in a room in which they may be.
pub(super) fn rank(actor: &Actor, standing: Option<Role>) -> Rank {
    let has = |name: &str| actor.roles.iter().any(|role| role == name);
    if matches!(actor.via, Via::Operator { .. } | Via::Plugin { .. }) || has(ADMIN) {
        return Rank::Owner;
    }
    let own = match standing {
        None => Rank::Anyone,
        Some(Role::Member) => Rank::Member,
        Some(Role::Moderator) => Rank::Moderator,
        Some(Role::Owner) => Rank::Owner,
    };
    if has(MODERATOR) { own.max(Rank::Moderator) } else { own }
}

pub(super) fn rank_name(rank: Rank) -> &'static str {
    match rank {
        Rank::Anyone => "anyone",
        Rank::Member => "member",
        Rank::Moderator => "moderator",
        Rank::Owner => "owner",
        Rank::Nobody => "nobody",
    }
}
