//! What a client calls: verbs by their table, and the native dialect's own `publish`.

use super::beside::{receipt, told};
use super::{Session, answer};
use crate::access::{Act, Claim, Permit};
use crate::actor::Actor;
use crate::dialect::command::{self, Done, Reply};
use crate::pace::Rate;
use crate::verb::{self, Caller, Drafted, How, Verb, Work};
use confab_protocol::{Body, Draft, Key, Kind, Refusal, Room, VerbName};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often a session may call `typing`.
const TYPING: Rate = Rate { each: Duration::from_millis(500), burst: 5 };

impl Session {
    /// That this session may do something in the room of that name.
    pub(super) fn may_in(&self, name: &str, actor: &Arc<Actor>, act: Act) -> Result<Permit, Refusal> {
        self.may(&command::room(name, self.env.limits.room_name_bytes)?, actor, act)
    }

    /// That this session may do something in a room: it listens there, or everybody may.
    pub(super) fn may(&self, room: &Room, actor: &Arc<Actor>, act: Act) -> Result<Permit, Refusal> {
        self.env.services.access.may(actor, act, room, self.claim(room))
    }

    /// What this session has to show for a room.
    fn claim(&self, room: &Room) -> Claim {
        if self.rooms.contains_key(room) { Claim::Listens } else { Claim::None }
    }

    pub(super) async fn publish(&mut self, number: u32, actor: &Arc<Actor>, room: &str, body: Body) {
        match self.may_in(room, actor, Act::Speak) {
            Ok(permit) => {
                let room = permit.room().clone();
                let draft = Draft { kind: Kind::Message, room, key: Key::fresh(), body, target: None, thread: None };
                let drafted = Box::new(Drafted { draft, keyed: false });
                self.send(number, permit, drafted, |sent| told(sent, |_| Reply::Empty(Done::Publish))).await;
            }
            Err(refusal) => self.answer(number, &Reply::Refused(refusal)),
        }
    }

    pub(super) async fn rpc(&mut self, number: u32, actor: &Arc<Actor>, method: &str, data: Option<Body>) {
        let verb = match verb::named(method) {
            Ok(verb) => verb,
            Err(refusal) => return self.answer(number, &Reply::Refused(refusal)),
        };
        match verb.how {
            How::Draft(read) => match read(verb.name, data.as_ref(), &self.env.limits) {
                Ok(drafted) => self.say(number, actor, Box::new(drafted), |sent| told(sent, receipt)).await,
                Err(refusal) => self.answer(number, &Reply::Refused(refusal)),
            },
            How::Work(_) => match self.begun(verb, actor, data.as_ref()) {
                Ok(work) => {
                    let work = async move { work.await.map(Reply::Rpc).map_err(verb::Error::refusal) };
                    if verb.pages { self.page(number, work).await } else { self.beside(number, work).await }
                }
                Err(refusal) => self.answer(number, &Reply::Refused(refusal)),
            },
        }
    }

    /// Carries a draft in, if its sender may, or answers why they may not.
    pub(super) async fn say(
        &mut self,
        number: u32,
        actor: &Arc<Actor>,
        drafted: Box<Drafted>,
        reply: impl FnOnce(Result<crate::publish::Receipt, Refusal>) -> Reply + Send + 'static,
    ) {
        match self.may(&drafted.draft.room, actor, Act::of(drafted.draft.kind)) {
            Ok(permit) => self.send(number, permit, drafted, reply).await,
            Err(refusal) => self.refuse(number, actor, drafted, refusal, reply).await,
        }
    }

    /// A verb's work, unless it is refused at once.
    fn begun(&mut self, verb: &Verb, actor: &Arc<Actor>, data: Option<&Body>) -> Result<Work, Refusal> {
        let How::Work(begin) = verb.how else { return Err(Refusal::NotAvailable) };
        if verb.name == VerbName::Typing {
            self.typing_pace.take(TYPING, Instant::now()).map_err(|wait| Refusal::TooManyRequests {
                retry_after_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1),
            })?;
        }
        let claim = |room: &Room| self.claim(room);
        let caller = Caller { actor, claim: &claim, bytes_max: answer::content_max(&self.outbox) };
        begin(&self.env.services, &caller, data).map_err(verb::Error::refusal)
    }
}
