//! Sends of front ends that know nothing of Confab: what is refused is heard, and not taken for success.
//!
//! A stock client takes any acknowledgement for success, and one with `retries` sends again what is not acknowledged. So
//! whatever is refused is told as an event of its own, `refused`; and what may be tried again under its own key is not
//! acknowledged, as in Socket.IO's tutorial, whose server leaves such a client to its retries. What is refused for good is
//! acknowledged (`ok: false`), or a client that sends one thing after another would wait for it in vain.

use super::Session;
use super::beside::{receipt, told};
use crate::actor::Actor;
use crate::dialect::command::{NO_ANSWER, Reply};
use crate::publish::Receipt;
use crate::verb::send;
use confab_protocol::{Body, Key, Refusal};
use std::sync::Arc;

impl Session {
    pub(super) async fn mapped(
        &mut self,
        number: u32,
        actor: &Arc<Actor>,
        event: String,
        said: Result<Body, Refusal>,
        key: Option<Key>,
    ) {
        let tell = self.teller(number, event, key);
        match said.and_then(|said| send::parse(&said, &self.env.limits)) {
            Ok(drafted) => self.say(number, actor, Box::new(drafted), tell).await,
            Err(refusal) => self.answer(number, &tell(Err(refusal))),
        }
    }

    /// What answers such a send.
    fn teller(
        &self,
        number: u32,
        event: String,
        key: Option<Key>,
    ) -> impl FnOnce(Result<Receipt, Refusal>) -> Reply + Send + use<> {
        let outbox = self.outbox.clone();
        let dialect = self.dialect.clone();
        move |sent| {
            if let Err(refusal) = &sent {
                outbox.push(dialect.refused(&event, key.as_ref(), refusal));
                if number == NO_ANSWER || (key.is_some() && refusal.temporary()) {
                    return Reply::Unanswered;
                }
            }
            told(sent, receipt)
        }
    }
}
