//! What moderators do besides reviewing: they look at what plugins flagged, and say who may not speak.

use super::{Error, Reviewer, check};
use crate::mutes::now_ms;
use confab_protocol::{Body, EventId, Record, Room, UserId};
use confab_store::{Flag, Mute, Weight};
use serde::Serialize;

/// How long somebody may be muted, in seconds: up to a year.
const SECONDS: std::ops::RangeInclusive<u64> = 1..=31_536_000;

/// A flagged event as it is listed.
#[derive(Debug, Serialize)]
pub struct Flagged {
    /// The event, by whose id its flags are closed.
    pub id: EventId,
    /// Where it happened, or would have happened.
    pub room: Room,
    /// Who did it.
    pub sender: UserId,
    /// Which plugin wants it looked at.
    pub plugin: String,
    /// Why.
    pub reason: String,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// `open` or `closed`.
    pub state: &'static str,
    /// Who closed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<String>,
    /// What they said for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_why: Option<String>,
    /// The event, as far as it is known: as it was said where it was refused, else as it stands now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<Body>,
}

/// A mute as it is listed.
#[derive(Debug, Serialize)]
pub struct Muted {
    /// Where.
    pub room: Room,
    /// Who.
    pub user: UserId,
    /// Until then, in milliseconds since 1970.
    pub until: u64,
    /// What they are told.
    pub reason: String,
    /// Who said so: `plugin:<name>`, a moderator, or `admin`.
    pub by: String,
    /// When, in milliseconds since 1970.
    pub at: u64,
}

impl From<Mute> for Muted {
    fn from(mute: Mute) -> Self {
        let Mute { room, user, until, reason, by, at } = mute;
        Self { room, user, until, reason, by, at }
    }
}

impl Reviewer {
    /// Up to `limit` flags of one room or all: open ones, the oldest first, or closed ones, the last one first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn flags(&self, open: bool, room: Option<&str>, limit: usize) -> Result<Vec<Flagged>, Error> {
        let mut listed = Vec::new();
        for flag in self.store.flags(open, room, limit).await? {
            let Flag { event: id, room, sender, plugin, reason, at, said, closed, .. } = flag;
            let event = match said {
                Some(said) => Some(said),
                None => self.flagged(&room, id).await?,
            };
            let state = if closed.is_some() { "closed" } else { "open" };
            let (closed_by, closed_why) = closed.map_or((None, None), |closed| (Some(closed.by), closed.why));
            listed.push(Flagged { id, room, sender, plugin, reason, at, state, closed_by, closed_why, event });
        }
        Ok(listed)
    }

    /// The event as it stands now, or waits.
    async fn flagged(&self, room: &Room, id: EventId) -> Result<Option<Body>, Error> {
        if let Some(record) = self.store.event(room, id).await? {
            return Ok(Body::parse(record.to_json()).ok());
        }
        let held = self.store.held_one(id).await?;
        Ok(held.and_then(|held| Body::parse(Record::json_without_place(&held.event, &held.trail)).ok()))
    }

    /// Closes all flags of an event; returns how many were open.
    ///
    /// # Errors
    /// [`Error`]; they stay open.
    pub async fn close_flags(&self, event: EventId, by: &str, why: Option<&str>) -> Result<u64, Error> {
        check(why)?;
        match self.store.close_flags(event, by, why, now_ms()).await? {
            0 => Err(Error::NotFlagged(event)),
            closed => {
                tracing::info!(%event, by, why, closed, "a flagged event was looked at");
                self.telemetry.reviewed("closed");
                Ok(closed)
            }
        }
    }

    /// Up to `limit` mutes of one room or all; those that end first come first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn muted(&self, room: Option<&str>, limit: usize) -> Result<Vec<Muted>, Error> {
        Ok(self.store.mutes(now_ms(), room, limit).await?.into_iter().map(Muted::from).collect())
    }

    /// Keeps somebody from speaking in a room, in place of any mute before it.
    ///
    /// # Errors
    /// [`Error`]; nothing has changed.
    pub async fn mute(
        &self,
        room: Room,
        user: UserId,
        seconds: u64,
        by: &str,
        reason: Option<&str>,
    ) -> Result<Muted, Error> {
        check(reason)?;
        if !SECONDS.contains(&seconds) {
            return Err(Error::Seconds);
        }
        let at = now_ms();
        let reason = reason.unwrap_or("a moderator said so").to_owned();
        let mute = Mute { room, user, until: at + seconds * 1000, reason, by: by.to_owned(), at };
        self.mutes.keep(&mute, Weight::Replaces).await?;
        self.mutes.hush(&mute, Weight::Replaces);
        tracing::info!(room = %mute.room, user = %mute.user, by, seconds, reason = mute.reason, "somebody was muted");
        self.telemetry.reviewed("muted");
        Ok(mute.into())
    }

    /// Lets somebody speak again.
    ///
    /// # Errors
    /// [`Error`]; nothing has changed.
    pub async fn lift(&self, room: &Room, user: &UserId, by: &str) -> Result<(), Error> {
        if !self.mutes.lift(room, user, by).await? {
            return Err(Error::NotMuted);
        }
        tracing::info!(%room, %user, by, "a mute was lifted");
        self.telemetry.reviewed("lifted");
        Ok(())
    }
}
