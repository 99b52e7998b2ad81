//! Who listens, in Redis: one hash a room, whose entries end by themselves unless their hub says them again.
//!
//! None of this is fenced: nothing here has a place in an order, and what a lost Redis forgot is said again within
//! [`super::super::LISTENING_FOR`].

use super::super::{Attendance, Error, LISTENING_FOR};
use super::Redis;
use super::answer::damaged;
use super::server::failed;
use confab_protocol::{Present, Room, Typing};
use redis::aio::MultiplexedConnection;

const KEEP: &str = include_str!("keep.lua");
const LISTENERS: &str = include_str!("listeners.lua");

/// What a relayed passage begins with; a relayed event begins with a number.
pub(super) const PASSAGE: u8 = b'~';
/// What a relayed typing begins with.
pub(super) const TYPING: u8 = b'^';
/// What is said where there is news in the store.
pub(super) const NEWS: &[u8] = b"!";

impl Redis {
    pub(in crate::timeline) async fn attend(&self, changes: &[Attendance]) -> Result<(), Error> {
        let mut pipe = redis::pipe();
        for Attendance { passage, listed, announced } in changes {
            let listeners = self.inner.keys.listeners(&passage.room);
            let who = &passage.who;
            if *listed && passage.here {
                let shown = serde_json::to_string(who).expect("a session has a JSON form");
                let time = LISTENING_FOR.as_millis() as u64;
                pipe.cmd("EVAL").arg(KEEP).arg(1).arg(&listeners).arg(&who.client).arg(shown).arg(time).ignore();
            } else if *listed {
                pipe.cmd("HDEL").arg(&listeners).arg(&who.client).ignore();
            }
            if *announced {
                let mut said = vec![PASSAGE];
                serde_json::to_writer(&mut said, passage).expect("a passage has a JSON form");
                pipe.cmd("SPUBLISH").arg(self.inner.keys.relay(&passage.room)).arg(said).ignore();
            }
        }
        pipe.query_async::<()>(&mut self.connection()?).await.map_err(|error| failed(&error))
    }

    pub(in crate::timeline) async fn listeners(&self, room: &Room) -> Result<Vec<Present>, Error> {
        let mut ask = redis::cmd("EVAL");
        ask.arg(LISTENERS).arg(1).arg(self.inner.keys.listeners(room));
        let shown: Vec<Vec<u8>> = ask.query_async(&mut self.connection()?).await.map_err(|error| failed(&error))?;
        let read = |shown: &Vec<u8>| serde_json::from_slice(shown);
        shown.iter().map(read).collect::<Result<_, _>>().map_err(|error| damaged(format!("a listener: {error}")))
    }

    pub(in crate::timeline) async fn tell_typing(&self, typing: &Typing) -> Result<(), Error> {
        let mut said = vec![TYPING];
        serde_json::to_writer(&mut said, typing).expect("that somebody is typing has a JSON form");
        let mut tell = redis::cmd("SPUBLISH");
        tell.arg(self.inner.keys.relay(&typing.room)).arg(said);
        tell.exec_async(&mut self.connection()?).await.map_err(|error| failed(&error))
    }

    pub(in crate::timeline) async fn tell_news(&self) -> Result<(), Error> {
        let mut tell = redis::cmd("SPUBLISH");
        tell.arg(self.inner.keys.news()).arg(NEWS);
        tell.exec_async(&mut self.connection()?).await.map_err(|error| failed(&error))
    }

    fn connection(&self) -> Result<MultiplexedConnection, Error> {
        let fence = self.inner.link.standing().ok_or_else(|| Error::Unavailable("redis is away".into()))?;
        Ok(fence.footing.connection.clone())
    }
}
