//! What a session has done beside its loop: sends, reads, and who is here. The answer goes into the outbox when it is
//! there, so that a slow one holds up nothing.

use super::joins::origin;
use super::{Session, answer, verb};
use crate::auth::Identity;
use crate::dialect::command::{Done, Reply, Since};
use crate::limits::Limited;
use crate::publish::{Receipt, Sending, Turn};
use crate::recover::Asked;
use crate::review::MODERATOR;
use confab_protocol::{Body, Draft, Key, Kind, Present, Refusal, Room, Sender};
use tokio::time::Instant;

/// What one name takes in an answer besides its parts, roughly.
const PRESENT_OVERHEAD: usize = 64;

impl Session {
    pub(super) async fn publish(&mut self, number: u32, identity: &Identity, room: &str, body: Body) {
        match self.open_room(room, identity) {
            Ok(room) => {
                let draft = Draft { kind: Kind::Message, room, key: Key::fresh(), body, target: None, thread: None };
                self.send(number, identity, draft, false, |sent| told(sent, |_| Reply::Empty(Done::Publish))).await;
            }
            Err(refusal) => self.answer(number, &Reply::Refused(refusal)),
        }
    }

    pub(super) async fn rpc(&mut self, number: u32, identity: &Identity, method: &str, data: Option<Body>) {
        if method == "review" {
            return self.review(number, identity, data.as_ref()).await;
        }
        let verb = match verb::parse(method, data.as_ref(), &self.door.limits) {
            Ok(verb) => verb,
            Err(refusal) => return self.answer(number, &Reply::Refused(refusal)),
        };
        let may = self.may_use(verb.room(), identity);
        match (verb, may) {
            (verb::Verb::Send { draft, keyed }, Ok(())) => {
                self.send(number, identity, draft, keyed, |sent| told(sent, receipt)).await;
            }
            (verb::Verb::Send { draft, keyed }, Err(banned @ Refusal::Banned { .. })) => {
                let (publisher, sending) = (self.door.publisher.clone(), self.sending(identity, draft, keyed));
                let answer = async move { publisher.refuse(sending, banned).await.map(receipt) };
                self.beside(number, answer).await;
            }
            (verb::Verb::History { room, asked }, Ok(())) => {
                let (recoverer, outbox) = (self.door.recoverer.clone(), self.outbox.clone());
                let trails = identity.roles.iter().any(|role| role == MODERATOR);
                self.beside(number, async move {
                    let _paced = outbox.paced.lock().await;
                    // Who does not read waits for the next page, or is found slow.
                    if !outbox.nearly_empty().await {
                        return Err(Refusal::Draining); // the session is ending: nobody hears it
                    }
                    let _reading = recoverer.reading.acquire().await;
                    let page = recoverer.history(&room, asked).await?;
                    Ok(Reply::Rpc(verb::history(page, trails, answer::content_max(&outbox))))
                })
                .await;
            }
            (verb::Verb::Typing { room }, Ok(())) => self.typing(number, identity, room).await,
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
        let room = match self.open_room(room, identity) {
            Ok(room) => room,
            Err(refusal) => return self.answer(number, &Reply::Refused(refusal)),
        };
        let page = self.door.limits.history_page;
        let limit = usize::try_from(limit).map_or(page, |limit| limit.min(page));
        let (recoverer, outbox) = (self.door.recoverer.clone(), self.outbox.clone());
        self.beside(number, async move {
            let _paced = outbox.paced.lock().await;
            if !outbox.nearly_empty().await {
                return Err(Refusal::Draining);
            }
            let _reading = recoverer.reading.acquire().await;
            let mut page = recoverer.stream(&room, Asked { since, reverse, limit }).await?;
            page.shorten_to_bytes(answer::content_max(&outbox));
            Ok(Reply::History { records: page.records, top: page.top })
        })
        .await;
    }

    /// Who listens to a room: their names, or how many they are.
    pub(super) async fn who(&mut self, number: u32, identity: &Identity, room: &str, names: bool) {
        let room = match self.may_ask_who(identity, room) {
            Ok(room) => room,
            Err(refusal) => return self.answer(number, &Reply::Refused(refusal)),
        };
        let (presence, limits) = (self.door.presence.clone(), &self.door.limits);
        let (names_max, bytes_max) = (limits.presence_names, limits.outbox.bytes() / 4);
        // Whoever asks may have come after the moment that is told, and must find itself.
        let own = self.rooms.contains_key(&room).then(|| self.present(identity));
        self.beside(number, async move {
            let there = presence.of(&room).await?;
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

    /// The room that somebody asks about, unless that is too often.
    fn may_ask_who(&mut self, identity: &Identity, room: &str) -> Result<Room, Refusal> {
        self.asks
            .may(Instant::now())
            .map_err(|early| self.door.user_limits.refuse(Limited::Presence, &identity.user, early))?;
        self.open_room(room, identity)
    }

    pub(super) async fn send(
        &mut self,
        number: u32,
        identity: &Identity,
        draft: Draft,
        keyed: bool,
        reply: impl FnOnce(Result<Receipt, Refusal>) -> Reply + Send + 'static,
    ) {
        let turn: Turn = self.turns.next(&draft.room);
        // Boxed, as every session would hold room for it while it waits.
        let sending = Box::new(self.sending(identity, draft, keyed));
        let end = self.begin(number).await;
        self.door.publisher.publish_and_tell(*sending, turn, |answer| end(Ok(reply(answer))));
    }

    pub(super) fn sending(&self, identity: &Identity, draft: Draft, keyed: bool) -> Sending {
        let (user, info) = (identity.user.clone(), identity.info.clone());
        let sender = Sender { user, client: Some(self.client.clone()), info };
        Sending { sender, draft, keyed, origin: origin(identity) }
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
