//! Capability `emit`: what a plugin says in a name of its own, kept until it is known what becomes of the event.

use super::{Capability, Host, Misuse};
use crate::plugin::contract::host_emit::{self, Error, Message};
use crate::plugin::{Check, Emitted, EventContext};
use confab_config::Patterns;
use confab_protocol::{Body, Event, EventId, Room, UserId};
use std::sync::Arc;

/// The most messages of one call.
pub const MESSAGES_MAX: usize = 4;

/// What a plugin is granted.
#[derive(Clone)]
pub struct Grant {
    /// The rooms where it may speak, besides that of the event.
    pub rooms: Option<Arc<Patterns>>,
    /// So many of plugins' own messages may follow from one another.
    pub hops_max: u32,
    /// What a client's body must pass.
    pub check: Arc<Check>,
}

/// One instance's way to it.
pub struct Access {
    grant: Grant,
    here: Option<Room>,
    hops: u32,
    /// Whose event all of it follows from.
    cause: Option<UserId>,
    said: Vec<Emitted>,
}

impl Access {
    /// For an instance of the plugin.
    pub fn new(grant: &Grant) -> Self {
        Self { grant: grant.clone(), here: None, hops: 0, cause: None, said: Vec::new() }
    }

    /// Begins a call about this event.
    pub fn begin(&mut self, event: &Event, context: &EventContext) {
        self.here = Some(event.room.clone());
        self.hops = context.origin.hops;
        self.cause = Some(context.answers_for(event).clone());
        self.said.clear();
    }

    /// What the call said.
    pub fn take(&mut self) -> Vec<Emitted> {
        std::mem::take(&mut self.said)
    }

    fn say(&mut self, message: Message) -> Result<(), Error> {
        if self.hops >= self.grant.hops_max {
            return Err(Error::TooDeep);
        }
        if self.said.len() >= MESSAGES_MAX {
            return Err(Error::TooMany);
        }
        let room = self.room(message.room)?;
        let invalid = |what: &str, why: &dyn std::fmt::Display| Error::Invalid(format!("{what}: {why}"));
        let body = Body::parse(message.body).map_err(|error| invalid("the body is not JSON", &error))?;
        (self.grant.check)(&body).map_err(|why| invalid("the body", &why))?;
        let id = |text: String| text.parse::<EventId>().map_err(|_| invalid("the thread", &"it is no event's id"));
        let thread = message.thread.map(id).transpose()?;
        self.said.push(Emitted { room, body, thread, hops: self.hops + 1, cause: self.cause.clone() });
        Ok(())
    }

    fn room(&self, named: Option<String>) -> Result<Room, Error> {
        let here = self.here.as_ref();
        let Some(name) = named else { return here.cloned().ok_or(Error::Forbidden) };
        let room = Room::new(&name).map_err(|error| Error::Invalid(error.to_string()))?;
        let granted = self.grant.rooms.as_ref().is_some_and(|rooms| rooms.matches(&name));
        if here == Some(&room) || granted { Ok(room) } else { Err(Error::Forbidden) }
    }
}

fn result(error: &Error) -> &'static str {
    match error {
        Error::Invalid(_) => "invalid",
        Error::Forbidden => "forbidden",
        Error::TooMany => "too_many",
        Error::TooDeep => "too_deep",
    }
}

impl Host {
    fn keep(&mut self, message: Message) -> Result<Result<(), Error>, Misuse> {
        self.may(Capability::Emit)?;
        let room = message.room.clone();
        let Some(access) = &mut self.emit else { unreachable!("linked only where it is granted") };
        let answer = access.say(message);
        let detail = match &answer {
            Ok(()) => None,
            Err(Error::Invalid(why)) => Some(why.clone()),
            Err(_) => room,
        };
        self.count(Capability::Emit, answer.as_ref().err().map_or("ok", result), detail);
        Ok(answer)
    }
}

impl host_emit::Host for Host {
    fn emit(&mut self, message: Message) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.keep(message)?)
    }
}
