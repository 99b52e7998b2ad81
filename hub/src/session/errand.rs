//! What a session has done beside its loop: sends, reads, and who is here. The answer goes into the outbox when it is
//! there, so that a slow one holds up nothing.

use super::joins::origin;
use super::{Session, verb};
use crate::auth::Identity;
use crate::dialect::command::{Done, Reply, Since};
use crate::publish::{Sending, Turn};
use crate::recover::Asked;
use confab_protocol::{Body, Draft, Key, Kind, Present, Refusal, Sender};

impl Session {
    pub(super) async fn publish(&mut self, number: u32, identity: &Identity, room: &str, body: Body) {
        match self.open_room(room, identity) {
            Ok(room) => {
                let draft = Draft { kind: Kind::Message, room, key: Key::fresh(), body, target: None, thread: None };
                self.send(number, identity, draft, false, |_| Reply::Empty(Done::Publish)).await;
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
                self.send(number, identity, draft, keyed, |receipt| Reply::Rpc(Body::of(&receipt))).await;
            }
            (verb::Verb::Send { draft, keyed }, Err(banned @ Refusal::Banned { .. })) => {
                let (publisher, sending) = (self.door.publisher.clone(), self.sending(identity, draft, keyed));
                let answer = async move { publisher.refuse(sending, banned).await.map(|r| Reply::Rpc(Body::of(&r))) };
                self.beside(number, answer).await;
            }
            (verb::Verb::History { room, asked }, Ok(())) => {
                let recoverer = self.door.recoverer.clone();
                self.beside(number, async move {
                    recoverer.history(&room, asked).await.map(|page| Reply::Rpc(verb::history(&page)))
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
        let recoverer = self.door.recoverer.clone();
        self.beside(number, async move {
            let page = recoverer.stream(&room, Asked { since, reverse, limit }).await?;
            Ok(Reply::History { records: page.records, top: page.top })
        })
        .await;
    }

    /// Who listens to a room, as `reply` tells it.
    pub(super) async fn who(&self, number: u32, identity: &Identity, room: &str, reply: fn(Vec<Present>) -> Reply) {
        match self.open_room(room, identity) {
            Ok(room) => {
                let presence = self.door.presence.clone();
                self.beside(number, async move { presence.of(&room).await.map(reply) }).await;
            }
            Err(refusal) => self.answer(number, &Reply::Refused(refusal)),
        }
    }

    pub(super) async fn send(
        &mut self,
        number: u32,
        identity: &Identity,
        draft: Draft,
        keyed: bool,
        reply: impl FnOnce(crate::publish::Receipt) -> Reply + Send + 'static,
    ) {
        let turn: Turn = self.turns.next(&draft.room);
        // Boxed, as every session would hold room for it while it waits.
        let sending = Box::new(self.sending(identity, draft, keyed));
        let end = self.begin(number).await;
        self.door.publisher.publish_and_tell(*sending, turn, |answer| end(answer.map(reply)));
    }

    fn sending(&self, identity: &Identity, draft: Draft, keyed: bool) -> Sending {
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
                outbox.push(dialect.reply(number, &answer.unwrap_or_else(Reply::Refused)));
                drop(permit);
            }
        }
    }
}

/// How many sessions these are, and how many people.
pub(super) fn stats(present: Vec<Present>) -> Reply {
    let users: std::collections::HashSet<_> = present.iter().map(|one| &one.user).collect();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Reply::PresenceStats { clients: count(present.len()), users: count(users.len()) }
}
