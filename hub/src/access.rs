//! Who may do what, where: the one place that is asked, for every door, before the plugins are.
//!
//! The answer is a [`Permit`], which nobody else can make. What does the work takes it as an argument, so that no door can
//! leave the question out.

mod act;
mod rank;

pub use act::Act;

use crate::actor::{Actor, MODERATOR, Via};
use crate::members::{Members, Standing};
use crate::sanctions::Sanctions;
use confab_config::{CreateRule, JoinRule, Rank, RoomSettings, Rooms as RoomRules};
use confab_protocol::{Event, Millis, Refusal, Room, UserId};
use confab_store::Role;
use rank::{needed, rank, rank_name};
use std::sync::Arc;

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

/// That somebody may make a room. Only [`Access`] makes one.
#[derive(Clone, Debug)]
pub struct Maker {
    actor: Arc<Actor>,
}

impl Maker {
    /// Who.
    pub fn actor(&self) -> &Arc<Actor> {
        &self.actor
    }
}

/// Who may do what, where.
pub struct Access {
    sanctions: Arc<Sanctions>,
    members: Arc<Members>,
    rules: RoomRules,
}

impl Access {
    /// By these mutes and bans, these memberships, and these rules of rooms.
    pub fn new(sanctions: Arc<Sanctions>, members: Arc<Members>, rules: RoomRules) -> Self {
        Self { sanctions, members, rules }
    }

    /// How often anything has changed that a permit stands on.
    fn changes(&self) -> u64 {
        self.sanctions.changes() + self.members.changes()
    }

    /// Whether somebody may do something in a room.
    ///
    /// # Errors
    /// In a room that has members: [`Refusal::PermissionDenied`] to whoever is none, [`Refusal::StoreUnavailable`] while that is
    /// not known. Then [`Refusal::Banned`], [`Refusal::PermissionDenied`], [`Refusal::Muted`], the first that holds in this order.
    pub fn may(&self, actor: &Arc<Actor>, act: Act, room: &Room, claim: Claim) -> Result<Permit, Refusal> {
        // Before the answer is looked up: a change that comes meanwhile is found when the permit is looked at again.
        let version = self.changes();
        self.look(actor, act, room, claim)?;
        Ok(Permit { actor: actor.clone(), room: room.clone(), act, claim, version })
    }

    /// Whether a permit still holds, after a while. Where nothing has changed that costs one atomic read.
    ///
    /// # Errors
    /// As [`Self::may`].
    pub fn still_holds(&self, permit: &Permit) -> Result<(), Refusal> {
        match self.changes() == permit.version {
            true => Ok(()),
            false => self.look(&permit.actor, permit.act, &permit.room, permit.claim),
        }
    }

    fn look(&self, actor: &Actor, act: Act, room: &Room, claim: Claim) -> Result<(), Refusal> {
        self.decide(actor, act, room, claim, || self.standing(&actor.user, room))
    }

    /// What a user may do in a room as what they are in the store, with no token for it: every act, and why not.
    pub fn explain(&self, room: &Room, user: &UserId, role: Option<Role>) -> Vec<(Act, Result<(), Refusal>)> {
        let none: Arc<[String]> = Arc::default();
        let actor = Actor { user: user.clone(), guest: false, info: None, roles: none, client: None, via: Via::Rpc };
        let standing = || role.ok_or_else(no_such_room);
        Act::ALL.into_iter().map(|act| (act, self.decide(&actor, act, room, Claim::None, standing))).collect()
    }

    fn decide(
        &self,
        actor: &Actor,
        act: Act,
        room: &Room,
        claim: Claim,
        standing: impl FnOnce() -> Result<Role, Refusal>,
    ) -> Result<(), Refusal> {
        if actor.is_operator() && act == Act::Read {
            return Ok(()); // by their own name, in which nobody speaks
        }
        let special = self.special(room);
        let of_members = special.is_some_and(|settings| settings.join == JoinRule::Members);
        let from_outside = matches!(actor.via, Via::Rpc | Via::SocketIo);
        let standing = (of_members && from_outside).then(standing).transpose()?;
        // A ban comes before every right that the user has or had, whoever gave it.
        if let Some(banned) = self.sanctions.banned(room, &actor.user) {
            return Err(banned);
        }
        if from_outside && !of_members && claim == Claim::None && !self.everybody_may(actor, room) {
            return Err(not_open(room));
        }
        if let Some(settings) = special {
            let needed = needed(act, &settings);
            if rank(actor, standing) < needed {
                return Err(Refusal::PermissionDenied(
                    format!("this needs the rank `{}` here", rank_name(needed)).into(),
                ));
            }
        }
        let muted = act.is_muted().then(|| self.sanctions.muted(room, &actor.user)).flatten();
        muted.map_or(Ok(()), Err)
    }

    /// What everybody hears of a room that has members and that they are not in, whether there is one or not.
    pub fn no_such_room(&self) -> Refusal {
        no_such_room()
    }

    /// What a room is, where rules say more of it than who may join open rooms.
    fn special(&self, room: &Room) -> Option<RoomSettings> {
        if room.users().is_some() || !(self.rules.restrict() || confab_config::is_direct(room.as_str())) {
            return None;
        }
        Some(self.rules.settings(room.as_str()))
    }

    /// Whether a room has members: for everybody else there is no such room.
    pub fn has_members(&self, room: &Room) -> bool {
        self.special(room).is_some_and(|settings| settings.join == JoinRule::Members)
    }

    /// What a user is in a room that has members.
    fn standing(&self, user: &UserId, room: &Room) -> Result<Role, Refusal> {
        match self.members.standing(user, room) {
            Standing::In(role) => Ok(role),
            Standing::Out => Err(no_such_room()),
            Standing::Unknown => Err(Refusal::StoreUnavailable),
        }
    }

    /// What an actor is in a room in which they may do something.
    pub fn rank(&self, permit: &Permit) -> Rank {
        let standing = match self.members.standing(&permit.actor.user, &permit.room) {
            Standing::In(role) => Some(role),
            Standing::Out | Standing::Unknown => None,
        };
        rank(&permit.actor, standing)
    }

    /// The member who asks by this permit, and the lowest role in the room in which they may: what the store looks at again. `None`:
    /// operators and plugins, who need not belong to it.
    pub fn asker(&self, permit: &Permit) -> Option<(UserId, Role)> {
        let Permit { actor, room, act, .. } = permit;
        if !matches!(actor.via, Via::Rpc | Via::SocketIo) {
            return None;
        }
        let needed = needed(*act, &self.rules.settings(room.as_str()));
        // What a token gives is not in the store: its bearer must still belong to the room.
        let by_token = rank(actor, None) >= needed;
        Some((
            actor.user.clone(),
            match needed {
                Rank::Moderator if !by_token => Role::Moderator,
                Rank::Owner | Rank::Nobody if !by_token => Role::Owner,
                _ => Role::Member,
            },
        ))
    }

    /// Whether somebody may make a room of this name, which has members.
    ///
    /// # Errors
    /// [`Refusal::PermissionDenied`], [`Refusal::BadRequest`] where rooms of this name have no members.
    pub fn may_create(&self, actor: &Arc<Actor>, room: &Room) -> Result<Maker, Refusal> {
        let settings = self.rules.settings(room.as_str());
        if !self.has_members(room) || confab_config::is_direct(room.as_str()) {
            return Err(Refusal::BadRequest(
                "no room of such a name is made: `[[room]]` says which have members".into(),
            ));
        }
        self.not_shut_out(&actor.user)?;
        let may = actor.is_operator()
            || match settings.create {
                CreateRule::Anyone => !actor.guest,
                CreateRule::Moderators => rank(actor, None) >= Rank::Moderator,
                CreateRule::Operators => false,
            };
        match may {
            true => Ok(Maker { actor: actor.clone() }),
            false => Err(Refusal::PermissionDenied("you may not make such rooms".into())),
        }
    }

    /// Whether somebody may begin a room with another user, or with themselves.
    ///
    /// # Errors
    /// [`Refusal::PermissionDenied`], [`Refusal::Banned`].
    pub fn may_begin_direct(&self, actor: &Arc<Actor>) -> Result<Maker, Refusal> {
        self.not_shut_out(&actor.user)?;
        match actor.guest {
            false => Ok(Maker { actor: actor.clone() }),
            true => Err(Refusal::PermissionDenied("guests have no rooms of their own".into())),
        }
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
    pub async fn may_stand(&self, _: &Moderator, event: &Event) -> Result<(), Refusal> {
        let user = &event.sender.user;
        let is_out = self.has_members(&event.room) && self.members.role(user, &event.room).await?.is_none();
        if is_out && event.sender.client.is_some() {
            return Err(Refusal::PermissionDenied("its author is no member of the room any more".into()));
        }
        self.sanctions.banned(&event.room, user).map_or(Ok(()), Err)
    }

    /// Whether a user may be in a room, as far as memberships and bans go.
    ///
    /// # Errors
    /// [`Refusal::PermissionDenied`], [`Refusal::StoreUnavailable`], [`Refusal::Banned`].
    pub fn may_be_in(&self, room: &Room, user: &UserId) -> Result<(), Refusal> {
        if self.has_members(room) {
            self.standing(user, room)?;
        }
        self.sanctions.banned(room, user).map_or(Ok(()), Err)
    }

    /// Whether a user is no member of a room that has members.
    pub fn is_out(&self, room: &Room, user: &UserId) -> bool {
        self.has_members(room) && self.members.standing(user, room) == Standing::Out
    }

    /// Whether a user is banned from a room.
    pub fn is_banned(&self, room: &Room, user: &UserId) -> bool {
        self.sanctions.banned(room, user).is_some()
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

fn no_such_room() -> Refusal {
    Refusal::PermissionDenied("there is no such room, or you are not in it".into())
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
