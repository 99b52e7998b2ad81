//! What a hub does with signals: tells rooms and users here, and, where something is asked of it, every other hub.

mod told;

use crate::members::Members;
use crate::people::People;
use crate::room::Rooms;
use crate::sanctions::Sanctions;
use crate::timeline::{Error, Timeline};
use confab_protocol::signal::{Decision, Disconnect, To, What};
use confab_protocol::{Close, Room, Signal, UserId};
use std::sync::Arc;
use told::Told;
use uuid::Uuid;

/// Brings signals to whom they are for.
pub struct Signals {
    timeline: Timeline,
    rooms: Arc<Rooms>,
    people: Arc<People>,
    sanctions: Arc<Sanctions>,
    members: Arc<Members>,
    told: Told,
    /// By which this hub knows its own word when it hears it: a client that has come back already must not be sent away again.
    own: Uuid,
}

/// What came of ending sessions on the hub that was asked.
#[derive(Debug)]
pub struct Disconnected {
    /// How many sessions ended there.
    pub here: usize,
    /// Whether the other hubs were told, or why perhaps not.
    pub told: Result<(), Error>,
}

impl Signals {
    /// Signals for these rooms and people, and those of other hubs over this timeline.
    pub fn new(
        timeline: Timeline,
        rooms: Arc<Rooms>,
        people: Arc<People>,
        sanctions: Arc<Sanctions>,
        members: Arc<Members>,
    ) -> Self {
        Self { timeline, rooms, people, sanctions, members, told: Told::default(), own: Uuid::now_v7() }
    }

    /// This hub or another has told something.
    pub fn heard(&self, signal: &Signal) {
        match (&signal.to, &signal.what) {
            (To::Room(room), _) => {
                if let Some(room) = self.rooms.get(room) {
                    room.tell(signal);
                }
            }
            (To::User(user), What::Disconnect(disconnect)) => {
                if disconnect.from != self.own {
                    self.end(user, disconnect);
                }
            }
            (To::User(user), What::Decision(decision)) => self.tell_decision(user, decision),
            (To::User(user), _) => _ = self.people.tell(user, signal),
            (To::Hubs, What::SanctionsChanged(_)) => self.sanctions.heard(),
            (To::Hubs, What::MemberChanged(told)) => self.members.heard(told),
            (To::Hubs, what) => tracing::debug!(kind = what.kind(), "signal passed over: hubs do nothing about it"),
        }
    }

    /// Tells everybody who listens to a room something, on every hub.
    pub async fn tell_room(&self, room: &Room, what: impl Into<What>) {
        let signal = Signal::to_room(room.clone(), what);
        if let Err(error) = self.timeline.tell(&signal).await {
            tracing::debug!(%room, %error, "could not tell a room that something changed: clients find it when they ask");
        }
    }

    /// Tells a user's session of that name something; whether it is here.
    pub fn tell_session(&self, user: &UserId, client: &str, signal: &Signal) -> bool {
        self.people.tell_session(user, client, signal) > 0
    }

    /// Tells a user what was decided about an event of theirs: here at once, and on every other hub. Those that do not hear it find
    /// it in the store.
    pub async fn tell_decided(&self, user: &UserId, decision: Decision) {
        self.tell_decision(user, &decision);
        if let Err(error) = self.timeline.tell(&Signal::to_user(user.clone(), decision)).await {
            tracing::debug!(%error, "could not tell other hubs of a decision: they find it in the store");
        }
    }

    /// Tells a user's sessions here what was decided, unless they were told before.
    pub fn tell_decision(&self, user: &UserId, decision: &Decision) {
        if self.told.first(decision) {
            let sessions = self.people.tell(user, &Signal::to_user(user.clone(), decision.clone()));
            tracing::debug!(id = %decision.id, decision = decision.decision, sessions, "told the sender of a decision");
        }
    }

    /// Ends all sessions of a user on every hub, or the one that others know as `client`, without a ban. `reconnect`: their clients
    /// are to come back. Nothing is kept: whoever may connect may come back.
    pub async fn disconnect(&self, user: UserId, client: Option<String>, reconnect: bool) -> Disconnected {
        let disconnect = Disconnect { client, reconnect, from: self.own };
        let here = self.end(&user, &disconnect);
        Disconnected { here, told: self.timeline.tell(&Signal::to_user(user, disconnect)).await }
    }

    fn end(&self, user: &UserId, Disconnect { client, reconnect, .. }: &Disconnect) -> usize {
        let close = if *reconnect { Close::ForceReconnect } else { Close::ForceDisconnect };
        let sessions = self.people.close(user, client.as_deref(), close);
        if sessions > 0 {
            tracing::info!(user = ?user.as_str(), client, sessions, close = close.code(), "sessions disconnected by an operator");
        }
        sessions
    }
}
