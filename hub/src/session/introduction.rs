//! Who a session belongs to: its first command, and the tokens that keep it open.

use super::joins::No;
use super::{Session, clock};
use crate::auth::{Denied, Identity};
use crate::dialect::command::{Reply, Since};
use confab_protocol::{Body, Close, Refusal};

impl Session {
    pub(super) async fn connect(
        &mut self,
        number: Option<u32>,
        token: &str,
        data: Option<&Body>,
        places: &[(String, Since)],
    ) -> Result<(), Close> {
        let number = number.ok_or(Close::BadRequest)?;
        match self.introduce(number, token, data, places).await {
            Ok(()) => Ok(()),
            Err(No::Refused(refusal)) => {
                self.answer(number, &Reply::NotConnected(refusal));
                Ok(())
            }
            Err(No::Closed(close)) => Err(close),
        }
    }

    async fn introduce(
        &mut self,
        number: u32,
        token: &str,
        data: Option<&Body>,
        places: &[(String, Since)],
    ) -> Result<(), No> {
        let identity = self.door.auth.identify(token, data, &self.client)?;
        if let Some(banned) = self.door.publisher.sanctions.shut_out(&identity.user) {
            return Err(banned.into());
        }
        let joined = self.join_given(&identity, places).await?;
        let (client, ttl) = (self.client.clone(), identity.ttl());
        self.clock.connected(&self.door.limits);
        if self.dialect.ping().is_none() {
            self.clock.ping_at = None; // the link asks by itself
        }
        self.clock.expires_at = clock::deadline(ttl, self.door.refresh_grace);
        let ping_s = self.door.limits.ping_interval.as_secs().max(1);
        tracing::debug!(client, user = %identity.user, rooms = joined.len(), "connected");
        self.door.reviewer.people().came(
            &identity.user,
            self.id,
            &self.client,
            self.outbox.clone(),
            self.dialect.clone(),
        );
        if self.door.publisher.sanctions.knows_ban(&identity.user) {
            self.outbox.summon(); // a ban that came while this session was coming did not find it
        }
        let subs = joined.iter().map(|(room, entrance)| (room.clone(), entrance.joining.joined.clone())).collect();
        self.answer(number, &Reply::Connected { client, ping_s, ttl, subs });
        for (room, entrance) in joined {
            self.enter(&identity, &room, entrance, |_| None); // what was said there meanwhile comes behind the reply
        }
        self.identity = Some(identity);
        Ok(())
    }

    pub(super) fn refresh(&mut self, number: u32, identity: &Identity, token: &str) -> Result<(), Close> {
        if token.is_empty() {
            return Err(Close::BadRequest);
        }
        match self.door.auth.verify(token, &self.client) {
            Ok(fresh) if fresh.user != identity.user => Err(Close::InvalidToken),
            Ok(fresh) => {
                let ttl = fresh.ttl();
                self.clock.expires_at = clock::deadline(ttl, self.door.refresh_grace);
                self.identity = Some(fresh);
                self.answer(number, &Reply::Refreshed { client: self.client.clone(), ttl });
                Ok(())
            }
            Err(Denied::Refused(Refusal::TokenExpired)) => Err(Close::Expired),
            Err(Denied::Refused(refusal)) => {
                self.answer(number, &Reply::Refused(refusal));
                Ok(())
            }
            Err(Denied::Closed(close)) => Err(close),
        }
    }
}
