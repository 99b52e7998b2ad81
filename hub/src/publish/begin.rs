//! Who may begin a room, by saying the first thing in it, and how fast.

use super::{Publisher, Sending};
use crate::actor::MODERATOR;
use crate::limits::Limited;
use crate::timeline::Range;
use confab_config::BeginRule;
use confab_protocol::{Record, Refusal, Room};

impl Publisher {
    /// Whether this may be the first thing that is said in its room, if it is that. Operators and plugins may begin rooms as
    /// they like. No service is asked where everybody may begin such rooms and the sender has not begun many.
    pub(super) async fn may_begin(&self, sending: &Sending) -> Result<(), Refusal> {
        let actor = sending.permit.actor();
        if actor.client.is_none() {
            return Ok(());
        }
        let room = &sending.draft.room;
        let user = &actor.user;
        let moderators_only = self.rules.settings(room.as_str()).begin == BeginRule::Moderators;
        let closed = moderators_only && !actor.roles.iter().any(|role| role == MODERATOR);
        let wait = self.user_limits.may_not_begin(user);
        if (!closed && wait.is_none()) || self.has_begun(room).await? {
            return Ok(());
        }
        Err(match wait {
            Some(wait) if !closed => self.user_limits.refuse(Limited::NewRooms, user, wait),
            _ => Refusal::PermissionDenied("only a moderator may begin this room".into()),
        })
    }

    /// Counts the room that an event has begun.
    pub(super) fn count_begun(&self, record: &Record) {
        if record.cursor.offset == 1 && record.event.sender.client.is_some() {
            self.user_limits.has_begun(&record.event.sender.user);
        }
    }

    /// Whether anything was ever said in a room. After a loss of Redis only the store knows.
    async fn has_begun(&self, room: &Room) -> Result<bool, Refusal> {
        let position = Range { since: None, reverse: false, limit: 0, bytes: 0 };
        let window = self.timeline.read(room, position).await.map_err(|error| {
            tracing::warn!(%room, %error, "could not read whether a room has begun");
            Refusal::TimelineUnavailable
        })?;
        if window.top.offset > 0 {
            return Ok(true);
        }
        let top = self.store.tops(room).await.map_err(|error| {
            tracing::warn!(%room, %error, "could not read whether a room has begun");
            Refusal::StoreUnavailable
        })?;
        Ok(top.is_some())
    }
}
