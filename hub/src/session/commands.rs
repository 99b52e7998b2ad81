//! One command of a client: which part of the session does it, and how it is refused.

use super::joins::Rejection;
use super::{Session, answer};
use crate::dialect::Dialect;
use crate::dialect::command::{Command, Done, NO_ANSWER, Numbered, Reply};
use crate::outbox::Frame;
use confab_protocol::{Close, Refusal};

impl Session {
    /// Joins and the like are boxed: they are large and rare, and every session would hold room for them all its life.
    pub(super) async fn command(&mut self, Numbered { number, command }: Numbered) -> Result<(), Close> {
        if let Command::Pong = command {
            return Ok(()); // that anything came was noted
        }
        if let Command::Answered(frame) = command {
            self.outbox.push(frame);
            return Ok(());
        }
        if let Command::NotJson = command {
            let refusal = Refusal::BadRequest("`data` is no JSON".into());
            self.answer(number.unwrap_or_default(), &Reply::Refused(refusal));
            return Ok(());
        }
        let Some(actor) = self.actor.clone() else {
            return match command {
                Command::Goodbye => Err(Close::Normal),
                Command::Listen { .. } => Ok(()), // the connect before it was refused
                Command::Connect { token, data, subs } => {
                    Box::pin(self.connect(number, &token, data.as_ref(), &subs)).await
                }
                _ => Err(Close::BadRequest), // the first command must be connect
            };
        };
        let number = number.unwrap_or(NO_ANSWER);
        if command.is_work()
            && let Err(refusal) = self.env.user_limits.command(&actor.user)
        {
            if let Command::Mapped { event, key, .. } = command {
                self.mapped(number, &actor, event, Err(refusal), key).await;
            } else {
                self.answer(number, &Reply::Refused(refusal));
            }
            return Ok(());
        }
        match command {
            Command::Connect { .. } if self.dialect == Dialect::SocketIo => {} // it is connected already, and stays so
            Command::Connect { .. } => return Err(Close::BadRequest),
            Command::Subscribe { room, .. }
            | Command::Unsubscribe { room }
            | Command::Publish { room, .. }
            | Command::History { room, .. }
            | Command::SubRefresh { room, .. }
            | Command::Presence { room }
            | Command::PresenceStats { room }
                if room.is_empty() =>
            {
                return Err(Close::BadRequest); // the protocol closes such a client
            }
            Command::Subscribe { room, wish } => {
                let done = Box::pin(self.subscribe(number, &actor, &room, wish)).await;
                self.or_rejection(number, done)?;
            }
            Command::Listen { room } if self.listens(&room) => {}
            Command::Listen { room } => {
                if let Err(rejection) = Box::pin(self.listen(&actor, &room)).await {
                    return Err(self.not_listening(&room, rejection));
                }
            }
            Command::Unsubscribe { room } => {
                Box::pin(self.unsubscribe(&room)).await;
                self.answer(number, &Reply::Empty(Done::Unsubscribe));
            }
            Command::SubRefresh { room, token } => {
                let done = Box::pin(self.sub_refresh(&actor, &room, &token)).await;
                self.or_rejection(number, done.map(|reply| self.answer(number, &reply)))?;
            }
            Command::Refresh { token } => Box::pin(self.refresh(number, &actor, &token)).await?,
            Command::Publish { room, data } => self.publish(number, &actor, &room, data).await,
            Command::Mapped { event, send, key } => self.mapped(number, &actor, event, send, key).await,
            Command::Rpc { method, data } => self.rpc(number, &actor, &method, data).await,
            Command::History { room, since, reverse, limit } => {
                let asked = self.asked(since, reverse, limit);
                self.history(number, &actor, &room, asked).await;
            }
            Command::Send => {} // the protocol's asynchronous message: it has no answer, and nothing here takes it
            Command::Presence { room } => self.who(number, &actor, &room, true).await,
            Command::PresenceStats { room } => self.who(number, &actor, &room, false).await,
            Command::Unavailable => self.answer(number, &Reply::Refused(Refusal::NotAvailable)),
            Command::Unknown => self.answer(number, &Reply::Refused(Refusal::MethodNotFound)),
            Command::Refused(refusal) => self.answer(number, &Reply::Refused(refusal)),
            Command::Goodbye => return Err(Close::Normal),
            Command::Pong | Command::Answered(_) | Command::NotJson => {}
        }
        Ok(())
    }

    /// How a session ends whose client needs a mapped room and was not let into it.
    fn not_listening(&self, room: &str, rejection: Rejection) -> Close {
        let refusal = match rejection {
            // It would be refused again, so the client is told not to come back.
            Rejection::Refused(Refusal::Plugin { .. }) => return Close::PermissionDenied,
            Rejection::Refused(refusal) => refusal,
            Rejection::Closed(close) => return close,
        };
        tracing::warn!(client = self.client, room, refusal = %refusal.message(), "could not enter a mapped room");
        Close::InsufficientState // the mapping has no event for a refusal: the client comes back and tries again
    }

    /// Refuses every command of a frame that is larger than `limits.frame`. Where no command can be read in it, the session is
    /// closed with a code after which clients do not come back.
    pub(super) fn refuse_oversized(&mut self, frame: &Frame) -> Result<(), Close> {
        let what = format!("frame has {} bytes, `limits.frame` is {}", frame.len(), self.env.limits.frame);
        let refusal = Refusal::LimitExceeded(what.into());
        for command in self.read(frame).map_err(|_| Close::TooLarge)? {
            let Numbered { number, command } = command.map_err(|_| Close::TooLarge)?;
            let refusal = refusal.clone();
            match command {
                Command::Pong | Command::Send => {}
                Command::Connect { .. } => self.answer(number.unwrap_or_default(), &Reply::NotConnected(refusal)),
                _ => self.answer(number.unwrap_or(NO_ANSWER), &Reply::Refused(refusal)),
            }
        }
        Ok(())
    }

    pub(super) fn answer(&self, number: u32, reply: &Reply) {
        self.outbox.push(answer::frame(&self.dialect, &self.outbox, number, reply));
    }

    /// Answers a refusal, or ends the session where the rejection says so.
    fn or_rejection(&self, number: u32, done: Result<(), Rejection>) -> Result<(), Close> {
        match done {
            Ok(()) => Ok(()),
            Err(Rejection::Refused(refusal)) => {
                self.answer(number, &Reply::Refused(refusal));
                Ok(())
            }
            Err(Rejection::Closed(close)) => Err(close),
        }
    }
}
