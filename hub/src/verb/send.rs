//! The verb `send`, and what all verbs share whose arguments are a draft.

use super::arguments::{self, bad};
use super::{Error, Services};
use crate::access::{Act, Claim};
use crate::actor::Actor;
use crate::dialect::command;
use crate::publish::{Receipt, Sending, Turn};
use confab_config::Limits;
use confab_protocol::{Body, Draft, EventId, Key, Kind, Refusal, Room, VerbName};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// How ids of users begin that nobody is: what begins so is said by a plugin, or over an API.
const PROGRAMS: [&str; 2] = ["plugin:", "api:"];

/// The arguments of `send`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Where.
    pub room: String,
    /// The sender's name for it.
    pub key: Option<Key>,
    /// What is said.
    pub body: Body,
    /// The message whose thread it belongs to.
    pub thread: Option<EventId>,
}

/// A draft that a verb's arguments are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drafted {
    /// What is to happen.
    pub draft: Draft,
    /// Whether the client named it, so that it may have come before.
    pub keyed: bool,
}

impl Drafted {
    /// A draft of this kind, with nothing in it yet, under the client's key, or one that nobody else has.
    pub(super) fn new(kind: Kind, room: Room, key: Option<Key>) -> Self {
        let keyed = key.is_some();
        let key = key.unwrap_or_else(Key::fresh);
        Self { draft: Draft { kind, room, key, body: Body::null(), target: None, thread: None }, keyed }
    }
}

/// Arguments that are a draft.
pub(super) trait Drafts: DeserializeOwned {
    /// The draft, of the verb that was called.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`].
    fn draft(self, verb: VerbName, limits: &Limits) -> Result<Drafted, Refusal>;
}

/// Reads arguments that are a draft.
pub(super) fn read<A: Drafts>(verb: VerbName, data: Option<&Body>, limits: &Limits) -> Result<Drafted, Refusal> {
    arguments::read::<A>(verb, data)?.draft(verb, limits)
}

/// Reads the arguments of `send`.
///
/// # Errors
/// [`Refusal::BadRequest`].
pub fn parse(data: &Body, limits: &Limits) -> Result<Drafted, Refusal> {
    read::<Arguments>(VerbName::Send, Some(data), limits)
}

impl Drafts for Arguments {
    fn draft(self, _: VerbName, limits: &Limits) -> Result<Drafted, Refusal> {
        let mut drafted = Drafted::new(Kind::Message, command::room(&self.room, limits.room_name_bytes)?, self.key);
        drafted.draft.body = self.body;
        drafted.draft.thread = self.thread;
        Ok(drafted)
    }
}

/// Says something in the name of a user, on behalf of an operator: the same way in as every client's, plugins included. It is written
/// down.
///
/// # Errors
/// [`Error::Refused`].
pub async fn as_operator(services: &Services, actor: &Arc<Actor>, said: Arguments) -> Result<Receipt, Error> {
    let room = Some(said.room.clone());
    let user = Some(actor.user.to_string());
    let mut act = Services::act(actor, VerbName::Send.as_str());
    (act.room, act.user) = (room, user);
    let done = say(services, actor, said).await.map_err(Error::from);
    act.event = done.as_ref().ok().map(|receipt| receipt.id.to_string());
    services.write_down(act, done).await
}

async fn say(services: &Services, actor: &Arc<Actor>, said: Arguments) -> Result<Receipt, Refusal> {
    let user = &actor.user;
    if PROGRAMS.iter().any(|begin| user.as_str().starts_with(begin)) {
        return Err(bad(format!("nobody is called `{user}`: the name is kept for programs")));
    }
    let Drafted { draft, keyed } = said.draft(VerbName::Send, &services.limits)?;
    match services.access.may(actor, Act::of(draft.kind), &draft.room, Claim::None) {
        Ok(permit) => services.publisher.publish(Sending { permit, draft, keyed }, Turn::free()).await,
        Err(refusal) => services.publisher.refuse(actor, draft, keyed, refusal).await,
    }
}
