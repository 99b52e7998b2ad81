//! What a session has done beside its loop: sends, reads, and who is here. The answer goes into the outbox when it is
//! there, so that a slow one holds up nothing.

use super::{Session, answer, verb};
use crate::access::{Act, Permit};
use crate::actor::MODERATOR;
use crate::auth::Identity;
use crate::dialect::command::{Done, Reply, Since};
use crate::limits::Limited;
use crate::publish::{Receipt, Sending, Turn};
use crate::recover::Asked;
use confab_config::JudgedKind;
use confab_protocol::{Body, Draft, Key, Kind, Present, Refusal, VerbName};
use tokio::time::Instant;

/// What one name takes in an answer besides its parts, roughly.
const PRESENT_OVERHEAD: usize = 64;

impl Session {
    pub(super) async fn publish(&mut self, number: u32, identity: &Identity, room: &str, body: Body) {
        match self.may_in(room, identity, Act::Speak) {
            Ok(permit) => {
                let room = permit.room().clone();
                let draft = Draft { kind: Kind::Message, room, key: Key::fresh(), body, target: None, thread: None };
                self.send(number, permit, draft, false, |sent| told(sent, |_| Reply::Empty(Done::Publish))).await;
            }
            Err(refusal) => self.answer(number, &Reply::Refused(refusal)),
        }
    }

    pub(super) async fn rpc(&mut self, number: u32, identity: &Identity, method: &str, data: Option<Body>) {
        if method == VerbName::Review.as_str() {
            return self.review(number, identity, data.as_ref()).await;
        }
        let verb = match verb::parse(method, data.as_ref(), &self.door.limits) {
            Ok(verb) => verb,
            Err(refusal) => return self.answer(number, &Reply::Refused(refusal)),
        };
        let may = self.may(verb.room(), identity, verb.act());
        match (verb, may) {
            (verb::Verb::Send { draft, keyed }, Ok(permit)) => {
                self.send(number, permit, draft, keyed, |sent| told(sent, receipt)).await;
            }
            (verb::Verb::Send { draft, keyed }, Err(refusal)) => {
                self.refuse(number, identity, draft, keyed, refusal, |sent| told(sent, receipt)).await;
            }
            (verb::Verb::History { asked, .. }, Ok(permit)) => {
                let access = self.door.access.clone();
                let (recoverer, outbox) = (self.door.recoverer.clone(), self.outbox.clone());
                let trails = identity.roles.iter().any(|role| role == MODERATOR);
                self.beside(number, async move {
                    let _paced = outbox.paced.lock().await;
                    // Who does not read waits for the next page, or is found slow.
                    if !outbox.nearly_empty().await {
                        return Err(Refusal::Draining); // the session is ending: nobody hears it
                    }
                    let _reading = recoverer.reading.acquire().await;
                    let page = recoverer.history(&permit, asked).await?;
                    access.still_holds(&permit)?; // the read may have taken a while
                    Ok(Reply::Rpc(verb::history(page, trails, answer::content_max(&outbox))))
                })
                .await;
            }
            (verb::Verb::Typing { .. }, Ok(permit)) => self.typing(number, permit).await,
            (verb::Verb::Typing { .. }, Err(refusal @ Refusal::Muted { .. })) => {
                self.door.telemetry.occasion(JudgedKind::Typing.as_str(), refusal.name());
                self.answer(number, &Reply::Refused(refusal));
            }
            (_, Err(refusal)) => self.answer(number, &Reply::Refused(refusal)),
        }
    }

    pub(super) async fn history(
        &mut self,
        number: u32,
        identity: &Identity,
        room: &str,
        since: Option<Since>,
        reverse: bool,
        limit: i64,
    ) {
        let permit = match self.may_in(room, identity, Act::Read) {
            Ok(permit) => permit,
            Err(refusal) => return self.answer(number, &Reply::Refused(refusal)),
        };
        let page = self.door.limits.history_page;
        let limit = usize::try_from(limit).map_or(page, |limit| limit.min(page));
        let (recoverer, outbox) = (self.door.recoverer.clone(), self.outbox.clone());
        let access = self.door.access.clone();
        self.beside(number, async move {
            let _paced = outbox.paced.lock().await;
            if !outbox.nearly_empty().await {
                return Err(Refusal::Draining);
            }
            let _reading = recoverer.reading.acquire().await;
            let bytes = answer::content_max(&outbox);
            let mut page = recoverer.stream(&permit, Asked { since, reverse, limit, bytes }).await?;
            access.still_holds(&permit)?; // the read may have taken a while
            page.shorten_to_bytes(bytes);
            Ok(Reply::History { records: page.records, top: page.top })
        })
        .await;
    }

    /// Who listens to a room: their names, or how many they are.
    pub(super) async fn who(&mut self, number: u32, identity: &Identity, room: &str, names: bool) {
        let permit = match self.may_ask_who(identity, room) {
            Ok(permit) => permit,
            Err(refusal) => return self.answer(number, &Reply::Refused(refusal)),
        };
        let (presence, access) = (self.door.presence.clone(), self.door.access.clone());
        let limits = &self.door.limits;
        let (names_max, bytes_max) = (limits.presence_names, limits.outbox.bytes() / 4);
        // Whoever asks may have come after the moment that is told, and must find itself.
        let own = self.rooms.contains_key(permit.room()).then(|| self.present(identity));
        self.beside(number, async move {
            let there = presence.of(&permit).await?;
            access.still_holds(&permit)?;
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
    fn may_ask_who(&mut self, identity: &Identity, room: &str) -> Result<Permit, Refusal> {
        self.asks
            .may(Instant::now())
            .map_err(|early| self.door.user_limits.refuse(Limited::Presence, &identity.user, early))?;
        self.may_in(room, identity, Act::SeeListeners)
    }

    pub(super) async fn send(
        &mut self,
        number: u32,
        permit: Permit,
        draft: Draft,
        keyed: bool,
        reply: impl FnOnce(Result<Receipt, Refusal>) -> Reply + Send + 'static,
    ) {
        let turn: Turn = self.turns.next(permit.room());
        // Boxed, as every session would hold room for it while it waits.
        let sending = Box::new(Sending { permit, draft, keyed });
        let end = self.begin(number).await;
        self.door.publisher.publish_and_tell(*sending, turn, |answer| end(Ok(reply(answer))));
    }

    /// Answers a draft that may not be sent: whoever is kept from speaking by now still gets the receipt of what stands.
    pub(super) async fn refuse(
        &mut self,
        number: u32,
        identity: &Identity,
        draft: Draft,
        keyed: bool,
        refusal: Refusal,
        reply: impl FnOnce(Result<Receipt, Refusal>) -> Reply + Send + 'static,
    ) {
        if !matches!(refusal, Refusal::Banned { .. } | Refusal::Muted { .. }) {
            return self.answer(number, &reply(Err(refusal)));
        }
        let (publisher, actor) = (self.door.publisher.clone(), self.actor(identity));
        self.beside(number, async move { Ok(reply(publisher.refuse(&actor, draft, keyed, refusal).await)) }).await;
    }

    /// Runs a command beside the loop; its answer goes into the outbox when it is there.
    ///
    /// The work is boxed at once: it is large, and every session would hold room for it all its life.
    pub(super) fn beside<W>(&self, number: u32, work: W) -> impl Future<Output = ()> + Send + use<W>
    where
        W: Future<Output = Result<Reply, Refusal>> + Send + 'static,
    {
        let (work, begun, tasks) = (Box::pin(work), self.begin(number), self.door.publisher.tasks.clone());
        async move {
            let end = begun.await;
            tasks.spawn(async move { end(work.await) });
        }
    }

    /// Waits until one more command may be under way. What it returns ends that: the answer goes into the outbox.
    fn begin(
        &self,
        number: u32,
    ) -> impl Future<Output = impl FnOnce(Result<Reply, Refusal>) + Send + use<>> + Send + use<> {
        let (in_flight, outbox, dialect) = (self.in_flight.clone(), self.outbox.clone(), self.dialect.clone());
        async move {
            let permit = in_flight.acquire_owned().await.expect("nobody closes the semaphore");
            move |answer: Result<Reply, Refusal>| {
                outbox.push(answer::frame(&dialect, &outbox, number, &answer.unwrap_or_else(Reply::Refused)));
                drop(permit);
            }
        }
    }
}

/// The answer to a send.
pub(super) fn told(sent: Result<Receipt, Refusal>, stands: impl FnOnce(Receipt) -> Reply) -> Reply {
    sent.map_or_else(Reply::Refused, stands)
}

/// A receipt as the result of a verb.
pub(super) fn receipt(receipt: Receipt) -> Reply {
    Reply::Rpc(Body::of(&receipt))
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
