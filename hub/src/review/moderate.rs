//! What moderators do besides reviewing: they look at what plugins flagged, and say who may not speak, or not be, where.

use super::{Error, Reviewer, check};
use crate::access::Moderator;
use crate::clock::now_ms;
use confab_protocol::{Body, EventId, Millis, Record, Room, UserId};
use confab_store::{Flag, Revocation, Sanction, SanctionKind, Which};
use serde::Serialize;

/// How long somebody may be muted, or banned where it is not for good, in seconds: up to a year.
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

/// A mute or a ban as it is listed.
#[derive(Debug, Serialize)]
pub struct Sanctioned {
    /// Where; absent is everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<Room>,
    /// Who.
    pub user: UserId,
    /// Until then, in milliseconds since 1970; absent is for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// What they are told.
    pub reason: String,
    /// Who said so: `plugin:<name>`, a moderator, or `admin`.
    pub by: String,
    /// When, in milliseconds since 1970.
    pub at: u64,
}

impl From<Sanction> for Sanctioned {
    fn from(sanction: Sanction) -> Self {
        let Sanction { room, user, until, reason, by, at, .. } = sanction;
        Self { room, user, until, reason, by, at }
    }
}

/// Whose tokens were revoked.
#[derive(Debug, Serialize)]
pub struct RevokedTokens {
    /// Whose.
    pub user: UserId,
    /// Those issued before this time, in milliseconds since 1970, and those that do not say when.
    pub before: u64,
}

/// What a moderator asks for.
#[derive(Clone, Debug)]
pub struct SanctionRequest {
    /// From what.
    pub kind: SanctionKind,
    /// Where; `None` is everywhere, which only a ban can be.
    pub room: Option<Room>,
    /// Who.
    pub user: UserId,
    /// For how long; `None` is for good, which only a ban can be.
    pub seconds: Option<u64>,
    /// What they are told.
    pub reason: Option<String>,
}

impl SanctionRequest {
    fn check(&self) -> Result<(), Error> {
        check(self.reason.as_deref())?;
        if self.seconds.is_some_and(|seconds| !SECONDS.contains(&seconds)) {
            return Err(Error::Senseless("a mute or a ban lasts from 1 second to 31536000 (a year)".into()));
        }
        if self.kind == SanctionKind::Mute && (self.room.is_none() || self.seconds.is_none()) {
            return Err(Error::Senseless("a mute needs a room and an end".into()));
        }
        Ok(())
    }
}

fn noun(kind: SanctionKind) -> &'static str {
    match kind {
        SanctionKind::Mute => "mute",
        SanctionKind::Ban => "ban",
    }
}

/// What somebody is whom it keeps from something; also the decision's name in metrics.
pub(super) fn participle(kind: SanctionKind) -> &'static str {
    match kind {
        SanctionKind::Mute => "muted",
        SanctionKind::Ban => "banned",
    }
}

impl Reviewer {
    /// Up to `limit` flags of one room or all: open ones, the oldest first, or closed ones, the last one first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn flags(
        &self,
        _: &Moderator,
        open: bool,
        room: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Flagged>, Error> {
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
    pub async fn close_flags(&self, event: EventId, by: &Moderator, why: Option<&str>) -> Result<u64, Error> {
        check(why)?;
        match self.store.close_flags(event, by.name(), why, now_ms()).await? {
            0 => Err(Error::NotFlagged(event)),
            closed => {
                tracing::info!(%event, by = by.name(), why, closed, "a flagged event was looked at");
                self.telemetry.reviewed("closed");
                Ok(closed)
            }
        }
    }

    /// Up to `limit` mutes or bans that stand; those that end first come first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn sanctioned(
        &self,
        _: &Moderator,
        kind: SanctionKind,
        which: Which<'_>,
        limit: usize,
    ) -> Result<Vec<Sanctioned>, Error> {
        let listed = self.store.sanctions(kind, now_ms(), which, limit).await?;
        Ok(listed.into_iter().map(Sanctioned::from).collect())
    }

    /// Mutes or bans somebody, in place of what stood before.
    ///
    /// # Errors
    /// [`Error`]; nothing has changed.
    pub async fn sanction(&self, sanction: SanctionRequest, by: &Moderator) -> Result<Sanctioned, Error> {
        sanction.check()?;
        let SanctionRequest { kind, room, user, seconds, reason } = sanction;
        let at = now_ms();
        let reason = reason.unwrap_or_else(|| "a moderator said so".to_owned());
        let until = seconds.map(|seconds| at + seconds * 1000);
        let sanction = Sanction { kind, room, user, until, reason, by: by.name().to_owned(), at };
        self.sanctions.set(&sanction).await?;
        let Sanction { room, user, reason, .. } = &sanction;
        let what = participle(kind);
        let room = room.as_ref().map(tracing::field::display);
        tracing::info!(room, %user, by = by.name(), seconds, reason, "user {what}");
        self.telemetry.reviewed(what);
        Ok(sanction.into())
    }

    /// Revokes a user's tokens issued before a time, in milliseconds since 1970: before now, if none is given.
    ///
    /// # Errors
    /// [`Error`]; nothing has changed.
    pub async fn revoke_tokens(
        &self,
        user: UserId,
        before: Option<Millis>,
        by: &Moderator,
    ) -> Result<RevokedTokens, Error> {
        let at = now_ms();
        let before = before.unwrap_or(at);
        if before > at {
            return Err(Error::Senseless("tokens are revoked that were issued before a time in the past".into()));
        }
        self.sanctions.revoke(&Revocation { user: user.clone(), before, by: by.name().to_owned(), at }).await?;
        tracing::info!(%user, before, by = by.name(), "tokens revoked");
        self.telemetry.reviewed("tokens_revoked");
        Ok(RevokedTokens { user, before })
    }

    /// Lets somebody speak, or be there, again.
    ///
    /// # Errors
    /// [`Error`]; nothing has changed.
    pub async fn lift(
        &self,
        kind: SanctionKind,
        room: Option<&Room>,
        user: &UserId,
        by: &Moderator,
    ) -> Result<(), Error> {
        if !self.sanctions.lift(kind, room, user, by.name()).await? {
            return Err(Error::NotSanctioned(kind));
        }
        let room = room.map(tracing::field::display);
        tracing::info!(room, %user, by = by.name(), "{} lifted", noun(kind));
        self.telemetry.reviewed(match kind {
            SanctionKind::Mute => "lifted",
            SanctionKind::Ban => "unbanned",
        });
        Ok(())
    }
}
