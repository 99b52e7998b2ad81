//! Commands that run beside a session's loop: each is a task, and its answer goes into the outbox when it is there, so that a slow
//! one does not hold up the next.

use super::{Session, answer};
use crate::access::Permit;
use crate::actor::Actor;
use crate::dialect::command::Reply;
use crate::publish::{Receipt, Sending, Turn};
use crate::verb::Drafted;
use confab_protocol::{Body, Refusal};
use std::sync::Arc;

impl Session {
    /// Carries a draft in, in its turn. The draft is boxed, as every session would hold room for it all its life.
    pub(super) async fn send(
        &mut self,
        number: u32,
        permit: Permit,
        drafted: Box<Drafted>,
        reply: impl FnOnce(Result<Receipt, Refusal>) -> Reply + Send + 'static,
    ) {
        let turn: Turn = self.turns.next(permit.room());
        let end = self.begin(number).await;
        let Drafted { draft, keyed } = *drafted;
        let sending = Sending { permit, draft, keyed };
        self.env.services.publisher.publish_and_tell(sending, turn, |answer| end(Ok(reply(answer))));
    }

    /// Answers a draft that may not be sent. Somebody who is banned, muted or no member by now still gets the receipt of a draft that stands.
    pub(super) async fn refuse(
        &mut self,
        number: u32,
        actor: &Arc<Actor>,
        drafted: Box<Drafted>,
        refusal: Refusal,
        reply: impl FnOnce(Result<Receipt, Refusal>) -> Reply + Send + 'static,
    ) {
        if !matches!(refusal, Refusal::Banned { .. } | Refusal::Muted { .. } | Refusal::PermissionDenied(_)) {
            return self.answer(number, &reply(Err(refusal)));
        }
        let publisher = self.env.services.publisher.clone();
        let actor = actor.clone();
        let Drafted { draft, keyed } = *drafted;
        self.beside(number, async move { Ok(reply(publisher.refuse(&actor, draft, keyed, refusal).await)) }).await;
    }

    /// Runs a command that answers with a page: when the client has room for it.
    pub(super) fn page<W>(&self, number: u32, work: W) -> impl Future<Output = ()> + Send + use<W>
    where
        W: Future<Output = Result<Reply, Refusal>> + Send + 'static,
    {
        let outbox = self.outbox.clone();
        self.beside(number, async move {
            let _paced = outbox.paced.lock().await;
            // A client that does not read gets no further page, or is closed as slow.
            if !outbox.nearly_empty().await {
                return Err(Refusal::Draining); // the session is ending, and its answers no longer leave
            }
            work.await
        })
    }

    /// Runs a command beside the loop; its answer goes into the outbox when it is there.
    ///
    /// The work is boxed at once: it is large, and every session would hold room for it all its life.
    pub(super) fn beside<W>(&self, number: u32, work: W) -> impl Future<Output = ()> + Send + use<W>
    where
        W: Future<Output = Result<Reply, Refusal>> + Send + 'static,
    {
        let work = Box::pin(work);
        let begun = self.begin(number);
        let tasks = self.env.services.tasks.clone();
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
        let in_flight = self.in_flight.clone();
        let outbox = self.outbox.clone();
        let dialect = self.dialect.clone();
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
