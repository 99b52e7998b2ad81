//! Connecting: the client's first command, who it is by its token, and the tokens that keep the session open.

use super::joins::Rejection;
use super::{Session, deadlines};
use crate::actor::{Actor, Via};
use crate::auth::{Denied, Identity, Invalid, Issued};
use crate::dialect::Dialect;
use crate::dialect::command::{Reply, Since};
use crate::members::Connecting;
use crate::people::Here;
use confab_protocol::{Body, Close, Refusal, UserId};
use std::sync::Arc;

/// How often a session may try to connect; a client that is refused more often is closed and comes back on a new connection.
const CONNECTS_MAX: u8 = 8;

impl Session {
    pub(super) async fn connect(
        &mut self,
        number: Option<u32>,
        token: &str,
        data: Option<&Body>,
        places: &[(String, Since)],
    ) -> Result<(), Close> {
        let number = number.ok_or(Close::BadRequest)?;
        self.connects += 1;
        if self.connects > CONNECTS_MAX {
            return Err(Close::TooManyRequests);
        }
        match self.establish(number, token, data, places).await {
            Ok(()) => Ok(()),
            Err(Rejection::Refused(refusal)) => {
                if refusal != Refusal::TokenExpired {
                    self.env.refused.note(refusal.name(), self.admission.from, &refusal.message());
                }
                self.answer(number, &Reply::NotConnected(refusal));
                Ok(())
            }
            Err(Rejection::Closed(close)) => Err(close),
        }
    }

    async fn establish(
        &mut self,
        number: u32,
        token: &str,
        data: Option<&Body>,
        places: &[(String, Since)],
    ) -> Result<(), Rejection> {
        let identity = self.identify(token, data).await?;
        let env = self.env.clone();
        env.services.access.not_shut_out(&identity.user)?;
        let actor = self.actor_of(&identity);
        let people = &env.people;
        let limits = &env.user_limits;
        if people.count(&identity.user) >= limits.sessions_max() {
            return Err(limits.too_many_sessions(&identity.user).into());
        }
        if self.admission.connected().is_err() {
            return Err(Rejection::Closed(Close::TooManyRequests)); // another took the last session of this address meanwhile: the client comes back
        }
        let connecting = Connecting::begin(env.members.clone(), identity.user.clone()).await;
        let joined = self.join_given(&actor, &identity.rooms, places).await?;
        let outbox = self.outbox.clone();
        let dialect = self.dialect.clone();
        let here = Here { client: self.client.clone(), outbox, dialect };
        if !people.came(&identity.user, self.id, here, limits.sessions_max()) {
            self.leave_all().await; // others of the same user came while this one was joining
            return Err(limits.too_many_sessions(&identity.user).into());
        }
        drop(connecting);
        let client = self.client.clone();
        let ttl = identity.ttl();
        self.deadlines.connected(&self.env.limits);
        if self.dialect.ping().is_none() {
            self.deadlines.ping_at = None; // the link asks by itself
        }
        self.deadlines.expires_at = deadlines::deadline(ttl, self.env.refresh_grace);
        let ping_s = self.env.limits.ping_interval.as_secs().max(1);
        tracing::debug!(client, user = %identity.user, rooms = joined.len(), "connected");
        let access = &env.services.access;
        let removed = joined.iter().any(|(room, _)| access.is_out(room, &identity.user));
        if removed || access.knows_ban(&identity.user) || self.revoked(&identity.user, identity.token).is_some() {
            self.outbox.wake(); // a decision that came while this session was connecting did not reach it: it looks now
        }
        let subs = joined.iter().map(|(room, entrance)| (room.clone(), entrance.joining.joined.clone())).collect();
        self.answer(number, &Reply::Connected { client, ping_s, ttl, subs });
        for (room, entrance) in joined {
            self.enter(&actor, &room, entrance, |_| None); // events heard there meanwhile are queued behind the reply
        }
        self.token = identity.token;
        self.actor = Some(actor);
        Ok(())
    }

    /// The actor of all that this session does, made once: it holds until the token is refreshed.
    fn actor_of(&self, identity: &Identity) -> Arc<Actor> {
        let via = if matches!(self.dialect, Dialect::SocketIo) { Via::SocketIo } else { Via::Rpc };
        Arc::new(identity.actor(&self.client, via))
    }

    /// Who the client is: by its token, or, on a hub for development, as it says itself.
    async fn identify(&self, token: &str, data: Option<&Body>) -> Result<Identity, Rejection> {
        let auth = &self.env.auth;
        if !token.is_empty() {
            let identity = self.bearer(token).await;
            return identity.map_err(|invalid| self.token_refused(&invalid).denied().into());
        }
        if !auth.insecure() {
            return Err(self.token_refused(&Invalid::Missing).denied().into());
        }
        Ok(auth.introduced(data, &self.client)?)
    }

    /// Who the bearer of a connection's token is.
    async fn bearer(&self, token: &str) -> Result<Identity, Invalid> {
        let identity = self.env.auth.identify(token, &self.client).await?;
        self.revoked(&identity.user, identity.token).map_or(Ok(identity), Err)
    }

    /// That the token that a user came with was revoked.
    pub(super) fn revoked(&self, user: &UserId, token: Option<Issued>) -> Option<Invalid> {
        self.revoked_since(user, token?)
    }

    /// That a user's token, issued at this time, was revoked.
    pub(super) fn revoked_since(&self, user: &UserId, issued: Issued) -> Option<Invalid> {
        let before = self.env.services.access.revoked(user, issued)?;
        Some(Invalid::Revoked { before })
    }

    pub(super) async fn refresh(&mut self, number: u32, actor: &Actor, token: &str) -> Result<(), Close> {
        if token.is_empty() {
            return Err(Close::BadRequest);
        }
        let fresh = match self.bearer(token).await {
            Ok(fresh) => fresh,
            Err(invalid) => match self.token_refused(&invalid).denied() {
                Denied::Refused(Refusal::TokenExpired) => return Err(Close::Expired),
                Denied::Refused(refusal) => {
                    self.answer(number, &Reply::Refused(refusal));
                    return Ok(());
                }
                Denied::Closed(close) => return Err(close),
            },
        };
        if fresh.user != actor.user {
            self.token_refused(&Invalid::another("sub", fresh.user.as_str(), actor.user.as_str()));
            return Err(Close::InvalidToken);
        }
        let ttl = fresh.ttl();
        self.deadlines.expires_at = deadlines::deadline(ttl, self.env.refresh_grace);
        self.leave_not_given(&fresh).await;
        self.actor = Some(self.actor_of(&fresh));
        self.token = fresh.token;
        self.answer(number, &Reply::Refreshed { client: self.client.clone(), ttl });
        Ok(())
    }

    /// Counts a token that is refused, and tells the operator why: the client hears no more than a number.
    pub(super) fn token_refused<'i>(&self, invalid: &'i Invalid) -> &'i Invalid {
        let reason = invalid.reason();
        self.env.telemetry.token_refused(reason);
        if let Some(left_out) = self.env.refused_tokens.may_write(reason) {
            let from = self.admission.from;
            tracing::warn!(client = self.client, %from, reason, why = %invalid, left_out, "token refused");
        }
        invalid
    }
}
