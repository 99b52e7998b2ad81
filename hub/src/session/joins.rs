//! A session's rooms: who may join, by which token, for how long, and how the session leaves.

use super::{Session, deadlines};
use crate::access::{Act, Claim, Permit};
use crate::actor::Actor;
use crate::auth::{Denied, Grant, Identity, Issued};
use crate::dialect::command::{self, Joined, Recovery, Reply, Since, Wish};
use crate::dialect::{Dialect, Unsubscribed};
use crate::outbox::Frame;
use crate::publish::Entered;
use crate::recover::Joining;
use crate::room::JoinRequest;
use confab_config::{JoinLeave, JudgedKind};
use confab_protocol::{Close, Refusal, Room};
use std::sync::Arc;
use tokio::time::Instant;

/// One of a session's rooms.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Membership {
    /// What the right to listen came with.
    by: By,
    /// The token must have been refreshed by then.
    expires_at: Option<Instant>,
}

/// What a right to listen comes with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum By {
    /// The room is open to the user.
    #[default]
    Itself,
    /// A token for this room, which may be refreshed.
    RoomToken(Issued),
    /// The connection's token, which names the room.
    ConnectionToken,
}

/// Why a command about a room came to nothing.
pub(super) enum Rejection {
    /// It is answered.
    Refused(Refusal),
    /// The session ends.
    Closed(Close),
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Denied> for Rejection {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Refused(refusal) => Self::Refused(refusal),
            Denied::Closed(close) => Self::Closed(close),
        }
    }
}

/// A room that is about to be entered: it was joined, and nothing that is said there is heard yet.
pub(super) struct Entrance {
    pub(super) joining: Joining,
    /// What the plugins said of it, where any was asked.
    entered: Option<Entered>,
}

impl Session {
    fn may_be_in(&self, room: &Room, actor: &Actor) -> Result<(), Refusal> {
        self.env.services.access.may_be_in(room, &actor.user)
    }

    pub(super) async fn subscribe(
        &mut self,
        number: u32,
        actor: &Arc<Actor>,
        name: &str,
        wish: Wish,
    ) -> Result<(), Rejection> {
        let room = command::room(name, self.env.limits.room_name_bytes)?;
        self.may_be_in(&room, actor)?;
        if self.rooms.contains_key(&room) {
            if self.env.rooms.get(&room).is_some_and(|local| local.holds(self.id)) {
                return Err(Refusal::AlreadyJoined.into());
            }
        } else if self.rooms.len() >= self.env.limits.rooms_per_session {
            return Err(Refusal::LimitExceeded("rooms per session".into()).into());
        }
        let mut membership = Membership::default();
        let mut ttl = None;
        let mut claim = Claim::None;
        if !wish.token.is_empty() {
            let grant = self.grant(&wish.token, &room, actor).await?;
            ttl = grant.ttl();
            membership = self.granted(grant);
            claim = Claim::Token;
        }
        let permit = self.env.services.access.may(actor, Act::Join, &room, claim)?;
        // A session that was told to join again is still in the room for plugins.
        let entered = if self.rooms.contains_key(&room) { None } else { self.may_join(&permit).await? };
        let everyone = self.env.rules.settings(room.as_str()).join_leave == JoinLeave::Everyone;
        let request = self.request(wish.join_leave || everyone, false);
        let mut joining = self.env.services.recoverer.join(&permit, request, wish.since, 1).await?;
        joining.joined.ttl = ttl;
        if let Err(banned) = self.env.services.access.still_holds(&permit) {
            Box::pin(self.forget(&room)).await; // while it was joining
            return Err(banned.into());
        }
        if wish.all_or_nothing && matches!(joining.joined.recovery, Recovery::Incomplete { .. }) {
            Box::pin(self.forget(&room)).await; // one that was told to join again listened until now
            return Err(Refusal::UnrecoverablePosition.into());
        }
        self.rooms.insert(room.clone(), membership);
        self.set_room_deadline();
        let answer = |joined| Some(self.dialect.reply(number, &Reply::Subscribed(joined)));
        self.enter(actor, &room, Entrance { joining, entered }, answer);
        Ok(())
    }

    /// Lets the room's events through to the session, behind the answer and the events that it missed, and announces it to
    /// presence and plugins.
    pub(super) fn enter(
        &self,
        actor: &Actor,
        room: &Room,
        Entrance { joining, entered }: Entrance,
        answer: impl FnOnce(Joined) -> Option<Frame>,
    ) {
        joining.finish(answer);
        self.env.services.presence.came(room, self.id, actor.present());
        if let Some(entered) = entered {
            self.env.services.publisher.joined(entered);
        }
    }

    /// Asks the plugins, where any of them judges joins.
    async fn may_join(&self, permit: &Permit) -> Result<Option<Entered>, Refusal> {
        let publisher = &self.env.services.publisher;
        if !publisher.judges(JudgedKind::Join) {
            return Ok(None);
        }
        Box::pin(publisher.may_join(permit)).await.map(Some)
    }

    /// Tells the plugins that this session has left a room, unless the hub is ending: then nobody left by themselves.
    fn has_left(&self, room: &Room) {
        let publisher = &self.env.services.publisher;
        if let Some(actor) = &self.actor
            && publisher.judges(JudgedKind::Leave)
            && !self.env.draining.is_cancelled()
        {
            publisher.left(room, actor.clone());
        }
    }

    /// Joins a room whose events the settings map to a front end's own; nothing is answered. Somebody who is banned from it goes on
    /// without this room.
    pub(super) async fn listen(&mut self, actor: &Arc<Actor>, name: &str) -> Result<(), Rejection> {
        let room = command::room(name, self.env.limits.room_name_bytes)?;
        if self.env.services.access.is_banned(&room, &actor.user)
            && !self.env.services.access.is_out(&room, &actor.user)
        {
            self.outbox.push(self.dialect.unsubscribed(&room, Unsubscribed::Banned));
            return Ok(());
        }
        let permit = self.may(&room, actor, Act::Join)?;
        let dialect = Dialect::SocketIoMapped(self.env.mapping.clone());
        let request = JoinRequest { dialect, ..self.request(false, false) };
        let entered = self.may_join(&permit).await?;
        let joining = self.env.services.recoverer.join(&permit, request, None, 1).await?;
        self.rooms.insert(room.clone(), Membership::default());
        self.enter(actor, &room, Entrance { joining, entered }, |_| None);
        Ok(())
    }

    /// Whether this session is in the room of that name.
    pub(super) fn listens(&self, name: &str) -> bool {
        Room::new(name).is_ok_and(|room| self.rooms.contains_key(&room))
    }

    /// What this session gives a room that it joins.
    fn request(&self, join_leave: bool, given: bool) -> JoinRequest {
        let outbox = self.outbox.clone();
        let dialect = self.dialect.clone();
        JoinRequest { session: self.id, client: self.uuid, outbox, dialect, join_leave, given }
    }

    async fn leave(&self, room: &Room) {
        self.env.services.recoverer.leave(room, self.id).await;
        self.env.services.presence.went(room, self.id);
    }

    /// Joins the rooms that the connection's token names, all of them or none, but for those that the user is banned from, or is no
    /// member of: a ban from one room is none from the others. What is said in them meanwhile is heard
    /// once the session [enters](Self::enter) each.
    pub(super) async fn join_given(
        &mut self,
        actor: &Arc<Actor>,
        given: &[Room],
        places: &[(String, Since)],
    ) -> Result<Vec<(Room, Entrance)>, Rejection> {
        if given.len() > self.env.limits.rooms_per_session {
            return Err(Rejection::Closed(Close::RoomLimit));
        }
        let mut joined = Vec::with_capacity(given.len());
        let rooms: Vec<&Room> = given.iter().filter(|room| self.may_be_in(room, actor).is_ok()).collect();
        for room in rooms {
            match self.join_one(actor, room, given.len(), places).await {
                Ok(entrance) => {
                    self.rooms.insert(room.clone(), Membership { by: By::ConnectionToken, expires_at: None });
                    joined.push((room.clone(), entrance));
                }
                Err(refusal) => {
                    self.leave_all().await;
                    return Err(refusal.into());
                }
            }
        }
        Ok(joined)
    }

    async fn join_one(
        &self,
        actor: &Arc<Actor>,
        room: &Room,
        at_once: usize,
        places: &[(String, Since)],
    ) -> Result<Entrance, Refusal> {
        let since = places.iter().find(|(name, _)| name == room.as_str()).map(|(_, since)| *since);
        // Join and leave are told wherever the room's rule announces them: a client whose token names the room has no `subscribe` in
        // which to ask for them.
        let request = self.request(true, true);
        let permit = self.env.services.access.may(actor, Act::Join, room, Claim::Token)?;
        let entered = self.may_join(&permit).await?;
        let joining = self.env.services.recoverer.join(&permit, request, since, at_once).await?;
        Ok(Entrance { joining, entered })
    }

    /// What a room's token gives this user.
    async fn grant(&self, token: &str, room: &Room, actor: &Actor) -> Result<Grant, Refusal> {
        let granted = self.env.auth.grant(token, room, actor).await;
        let granted = granted.and_then(|grant| self.revoked_since(&actor.user, grant.issued).map_or(Ok(grant), Err));
        granted.map_err(|invalid| self.token_refused(&invalid).refusal())
    }

    fn granted(&self, grant: Grant) -> Membership {
        let expires_at = deadlines::deadline(grant.ttl(), self.env.refresh_grace);
        Membership { by: By::RoomToken(grant.issued), expires_at }
    }

    /// Takes a new token for a room.
    pub(super) async fn sub_refresh(&mut self, actor: &Actor, name: &str, token: &str) -> Result<Reply, Rejection> {
        let room = command::room(name, self.env.limits.room_name_bytes)?;
        self.may_be_in(&room, actor)?;
        let Some(membership) = self.rooms.get(&room) else {
            return Err(Refusal::PermissionDenied("the session is not in this room".into()).into());
        };
        if !matches!(membership.by, By::RoomToken(_)) {
            return Err(Rejection::Closed(Close::BadRequest)); // there is nothing to refresh
        }
        if token.is_empty() {
            return Err(Refusal::BadRequest("a token is needed".into()).into());
        }
        let grant = self.grant(token, &room, actor).await.map_err(|refusal| match refusal {
            Refusal::TokenExpired => Refusal::Expired, // stock clients bring another only if this may pass
            refusal => refusal,
        })?;
        let membership = self.granted(grant);
        self.rooms.insert(room, membership);
        self.set_room_deadline();
        Ok(Reply::SubRefreshed { ttl: grant.ttl() })
    }

    pub(super) async fn unsubscribe(&mut self, name: &str) {
        if let Ok(room) = Room::new(name)
            && self.rooms.contains_key(&room)
        {
            self.forget(&room).await;
            self.has_left(&room);
        }
    }

    /// Ends the memberships whose tokens were not refreshed in time; the client may come again with another.
    pub(super) async fn end_expired(&mut self) {
        let now = Instant::now();
        let ended = |membership: &Membership| membership.expires_at.is_some_and(|at| at <= now);
        let rooms = self.rooms.iter().filter(|(_, of)| ended(of)).map(|(room, _)| room.clone()).collect();
        self.take_out(rooms, Unsubscribed::Expired).await;
    }

    /// A moderator or operator decided something about the user: leaves the rooms that the user is banned from, or was put out of
    /// meanwhile, and those whose token was revoked; ends the session if the ban is everywhere, or the connection's token was
    /// revoked.
    pub(super) async fn look_at_user(&mut self) {
        let Some(actor) = &self.actor else { return };
        if let Some(invalid) = self.revoked(&actor.user, self.token) {
            tracing::info!(client = self.client, user = %actor.user, why = %invalid, "closing a session whose token was revoked");
            return self.outbox.close(Close::Expired);
        }
        if self.env.services.access.not_shut_out(&actor.user).is_err() {
            return self.outbox.close(Close::ForceDisconnect);
        }
        let rooms = &self.env.rooms;
        let put_out = |room: &Room| !rooms.get(room).is_some_and(|local| local.knows(self.id));
        let access = &self.env.services.access;
        let removed: Vec<Room> = self.rooms.keys().filter(|room| access.is_out(room, &actor.user)).cloned().collect();
        let banned = |room: &&Room| !removed.contains(room) && (access.is_banned(room, &actor.user) || put_out(room));
        let rooms: Vec<Room> = self.rooms.keys().filter(banned).cloned().collect();
        let revoked = |by| matches!(by, By::RoomToken(issued) if self.revoked_since(&actor.user, issued).is_some());
        let of_token =
            self.rooms.iter().filter(|(room, of)| revoked(of.by) && !rooms.contains(room) && !removed.contains(room));
        let of_token = of_token.map(|(room, _)| room.clone()).collect();
        self.take_out(removed, Unsubscribed::Removed).await;
        self.take_out(rooms, Unsubscribed::Banned).await;
        self.take_out(of_token, Unsubscribed::Expired).await;
    }

    /// Leaves the rooms that the connection's token gave and that its new one does not name.
    pub(super) async fn leave_not_given(&mut self, fresh: &Identity) {
        let given = self.rooms.iter().filter(|(_, of)| of.by == By::ConnectionToken).map(|(room, _)| room);
        let gone = given.filter(|room| !fresh.rooms.contains(room)).cloned().collect();
        self.take_out(gone, Unsubscribed::NotGiven).await;
    }

    /// Leaves rooms, and tells the client why.
    async fn take_out(&mut self, rooms: Vec<Room>, why: Unsubscribed) {
        for room in rooms {
            self.forget(&room).await;
            self.has_left(&room);
            self.outbox.push(self.dialect.unsubscribed(&room, why));
        }
    }

    /// Leaves a room without telling the client.
    async fn forget(&mut self, room: &Room) {
        self.rooms.remove(room);
        self.leave(room).await;
        self.set_room_deadline();
    }

    pub(super) async fn leave_all(&mut self) {
        for (room, _) in std::mem::take(&mut self.rooms) {
            self.leave(&room).await;
            self.has_left(&room);
        }
    }

    /// Sets the deadline to that of the first room token that ends.
    fn set_room_deadline(&mut self) {
        self.deadlines.room_expires_at = self.rooms.values().filter_map(|membership| membership.expires_at).min();
    }
}
