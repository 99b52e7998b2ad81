//! What the native dialect asks of a room besides verbs: its own `history`, and who is there.

use super::{Session, answer};
use crate::access::{Act, Permit};
use crate::actor::Actor;
use crate::dialect::command::{Reply, Since};
use crate::limits::Limited;
use crate::pace::Rate;
use crate::recover::Asked;
use confab_protocol::{Present, Refusal};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often a session may ask who is in a room: it may have come into many at once.
const PRESENCE: Rate = Rate { each: Duration::from_millis(100), burst: 200 };
/// What one name takes in an answer besides its parts, roughly.
const PRESENT_OVERHEAD: usize = 64;

impl Session {
    pub(super) async fn history(&mut self, number: u32, actor: &Arc<Actor>, room: &str, asked: Asked) {
        let permit = match self.may_in(room, actor, Act::Read) {
            Ok(permit) => permit,
            Err(refusal) => return self.answer(number, &Reply::Refused(refusal)),
        };
        let services = self.env.services.clone();
        let bytes_max = asked.bytes;
        self.page(number, async move {
            let _reading = services.recoverer.reading.acquire().await;
            let mut page = services.recoverer.stream(&permit, asked).await?;
            services.access.still_holds(&permit)?; // the read may have taken a while
            page.shorten_to_bytes(bytes_max);
            Ok(Reply::History { records: page.records, top: page.top })
        })
        .await;
    }

    /// What a `history` of the native protocol asks for; a negative limit is as much as a page holds.
    pub(super) fn asked(&self, since: Option<Since>, reverse: bool, limit: i64) -> Asked {
        let page = self.env.limits.history_page;
        let bytes = answer::content_max(&self.outbox);
        Asked { since, reverse, limit: usize::try_from(limit).map_or(page, |limit| limit.min(page)), bytes }
    }

    /// Who listens to a room: their names, or how many they are.
    pub(super) async fn who(&mut self, number: u32, actor: &Arc<Actor>, room: &str, names: bool) {
        let permit = match self.may_ask_who(actor, room) {
            Ok(permit) => permit,
            Err(refusal) => return self.answer(number, &Reply::Refused(refusal)),
        };
        let services = self.env.services.clone();
        let names_max = self.env.limits.presence_names;
        let bytes_max = self.env.limits.outbox.bytes() / 4;
        // What is told may be a moment old, from before this session joined: it is added to its own answer.
        let own = self.rooms.contains_key(permit.room()).then(|| actor.present());
        self.beside(number, async move {
            let there = services.presence.of(&permit).await?;
            services.access.still_holds(&permit)?;
            let own = own.filter(|own| !there.some.contains_key(&own.client));
            let clients = count(there.clients + usize::from(own.is_some()));
            if !names {
                let new = own.is_some_and(|own| there.some.values().all(|other| other.user != own.user));
                return Ok(Reply::PresenceStats { clients, users: count(there.users + usize::from(new)) });
            }
            let mut bytes = 0;
            let fits = |who: &Present| {
                bytes += who.client.len() * 2 + who.user.as_str().len() + PRESENT_OVERHEAD;
                bytes += who.info.as_ref().map_or(0, |info| info.as_str().len());
                bytes <= bytes_max
            };
            let some = own.into_iter().chain(there.some.values().cloned()).take(names_max).take_while(fits).collect();
            Ok(Reply::Presence { some, clients })
        })
        .await;
    }

    /// That somebody may ask who listens to a room, unless that is too often.
    fn may_ask_who(&mut self, actor: &Arc<Actor>, room: &str) -> Result<Permit, Refusal> {
        let paced = self.presence_pace.take(PRESENCE, Instant::now());
        paced.map_err(|wait| self.env.user_limits.refuse(Limited::Presence, &actor.user, wait))?;
        self.may_in(room, actor, Act::SeeListeners)
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
