//! Who may do what, where: the one place that is asked, for every door, before the plugins are.
//!
//! The answer is a [`Permit`], which nobody else can make. What does the work takes it as an argument, so that no door can
//! leave the question out.

use crate::actor::{Actor, MODERATOR, Via};
use crate::sanctions::Sanctions;
use confab_config::{JoinRule, Rooms as RoomRules};
use confab_protocol::{Event, Kind, Millis, Refusal, Room, UserId};
use std::sync::Arc;

/// What is asked of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// To listen.
    Join,
    /// To read what was said.
    Read,
    /// To see who listens.
    SeeListeners,
    /// To say something, change it, or react.
    Speak,
    /// To take something of one's own back: who is muted may.
    TakeBack,
    /// To be seen typing.
    Type,
}

impl Act {
    /// What an event of this kind is.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Delete | Kind::Unreaction => Self::TakeBack,
            Kind::Message | Kind::Edit | Kind::Reaction => Self::Speak,
        }
    }

    fn is_muted(self) -> bool {
        matches!(self, Self::Speak | Self::Type)
    }
}

/// What somebody has to show for a room, besides who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: the room's own rule decides.
    None,
    /// Their token names the room.
    Token,
    /// Their session listens there: it was let in.
    Listens,
}

/// That somebody may do something in a room. Only [`Access`] makes one:
///
/// ```compile_fail,E0451
/// # fn forge(actor: std::sync::Arc<confab_hub::actor::Actor>, room: confab_protocol::Room) {
/// use confab_hub::access::{Act, Claim, Permit};
/// let permit = Permit { actor, room, act: Act::Speak, claim: Claim::None, version: 0 };
/// # }
/// ```
///
/// and what does the work is not called without one:
///
/// ```compile_fail,E0063
/// # fn door(draft: confab_protocol::Draft) {
/// let sending = confab_hub::publish::Sending { draft, keyed: false };
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Permit {
    actor: Arc<Actor>,
    room: Room,
    act: Act,
    claim: Claim,
    version: u64,
}

impl Permit {
    /// Who may.
    pub fn actor(&self) -> &Arc<Actor> {
        &self.actor
    }

    /// Where.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// What.
    pub fn act(&self) -> Act {
        self.act
    }
}

/// That somebody may review what plugins held, mute and ban. Only [`Access`] makes one:
///
/// ```compile_fail,E0451
/// # fn forge(name: std::sync::Arc<str>) {
/// let moderator = confab_hub::access::Moderator { name };
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Moderator {
    name: Arc<str>,
}

impl Moderator {
    /// Who decides, as the store keeps it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Who may do what, where.
pub struct Access {
    sanctions: Arc<Sanctions>,
    rules: RoomRules,
}

impl Access {
    /// By these mutes and bans, and these rules of rooms.
    pub fn new(sanctions: Arc<Sanctions>, rules: RoomRules) -> Self {
        Self { sanctions, rules }
    }

    /// Whether somebody may do something in a room.
    ///
    /// # Errors
    /// [`Refusal::Banned`], [`Refusal::PermissionDenied`], [`Refusal::Muted`], the first that holds in this order.
    pub fn may(&self, actor: &Arc<Actor>, act: Act, room: &Room, claim: Claim) -> Result<Permit, Refusal> {
        // Before the answer is looked up: a change that comes meanwhile is found when the permit is looked at again.
        let version = self.sanctions.changes();
        self.look(actor, act, room, claim)?;
        Ok(Permit { actor: actor.clone(), room: room.clone(), act, claim, version })
    }

    /// Whether a permit still holds, after a while. Where nothing has changed that costs one atomic read.
    ///
    /// # Errors
    /// As [`Self::may`].
    pub fn still_holds(&self, permit: &Permit) -> Result<(), Refusal> {
        match self.sanctions.changes() == permit.version {
            true => Ok(()),
            false => self.look(&permit.actor, permit.act, &permit.room, permit.claim),
        }
    }

    fn look(&self, actor: &Actor, act: Act, room: &Room, claim: Claim) -> Result<(), Refusal> {
        if actor.is_operator() && act == Act::Read {
            return Ok(()); // by their own name, in which nobody speaks
        }
        // A ban comes before every right that the user has or had, whoever gave it.
        if let Some(banned) = self.sanctions.banned(room, &actor.user) {
            return Err(banned);
        }
        let let_in = match actor.via {
            Via::Operator { .. } | Via::Plugin { .. } => true,
            Via::Rpc | Via::SocketIo => claim != Claim::None || self.everybody_may(actor, room),
        };
        if !let_in {
            return Err(not_open(room));
        }
        let muted = act.is_muted().then(|| self.sanctions.muted(room, &actor.user)).flatten();
        muted.map_or(Ok(()), Err)
    }

    /// Whether this user needs no token for the room.
    fn everybody_may(&self, actor: &Actor, room: &Room) -> bool {
        match room.users() {
            Some(mut users) => !actor.guest && users.any(|user| user == actor.user.as_str()),
            None => self.rules.settings(room.as_str()).join == JoinRule::Anyone,
        }
    }

    /// Whether somebody may review what plugins held, mute and ban: moderators, and operators, whom the admin port let in.
    ///
    /// # Errors
    /// [`Refusal::PermissionDenied`].
    pub fn may_moderate(&self, actor: &Actor) -> Result<Moderator, Refusal> {
        if actor.is_operator() || actor.roles.iter().any(|role| role == MODERATOR) {
            return Ok(Moderator { name: actor.name().into() });
        }
        Err(Refusal::PermissionDenied("only a moderator may review".into()))
    }

    /// Whether somebody may end sessions and revoke tokens: operators alone.
    ///
    /// # Errors
    /// [`Refusal::PermissionDenied`].
    pub fn may_operate(&self, actor: &Actor) -> Result<Moderator, Refusal> {
        match actor.is_operator() {
            true => Ok(Moderator { name: actor.name().into() }),
            false => Err(Refusal::PermissionDenied("only an operator may do this".into())),
        }
    }

    /// Whether an event that a moderator approves may stand: its author may still be in the room.
    ///
    /// # Errors
    /// [`Refusal::Banned`].
    pub fn may_stand(&self, _: &Moderator, event: &Event) -> Result<(), Refusal> {
        self.not_banned(&event.room, &event.sender.user)
    }

    /// Whether a user may be in a room, as far as bans go.
    ///
    /// # Errors
    /// [`Refusal::Banned`].
    pub fn not_banned(&self, room: &Room, user: &UserId) -> Result<(), Refusal> {
        self.sanctions.banned(room, user).map_or(Ok(()), Err)
    }

    /// Whether a user may be on this hub at all.
    ///
    /// # Errors
    /// [`Refusal::Banned`].
    pub fn not_shut_out(&self, user: &UserId) -> Result<(), Refusal> {
        self.sanctions.shut_out(user).map_or(Ok(()), Err)
    }

    /// The time before which a user's tokens are revoked, if one issued at this time is among them. Both are in milliseconds since 1970;
    /// one that does not say when it was issued counts as issued before.
    pub fn revoked(&self, user: &UserId, issued: Option<Millis>) -> Option<Millis> {
        self.sanctions.revoked(user, issued)
    }

    /// Whether a user may not be somewhere, or might not have been until lately.
    pub fn knows_ban(&self, user: &UserId) -> bool {
        self.sanctions.knows_ban(user)
    }
}

/// Why a room is not open to whoever asks: its name and the settings say so, whoever is in it.
fn not_open(room: &Room) -> Refusal {
    Refusal::PermissionDenied(match room.users() {
        Some(_) => "this room is for the users that its name gives".into(),
        None => "this room wants a token for it".into(),
    })
}

#[cfg(test)]
mod tests;
