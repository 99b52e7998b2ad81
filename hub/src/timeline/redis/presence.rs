//! Who listens, in Redis: one hash a room, whose entries end by themselves unless their hub says them again.
//!
//! None of this is fenced: nothing here has a place in an order, and what a lost Redis forgot is said again within
//! [`super::super::LISTENING_FOR`].

use super::super::{Attendance, Error, LISTENING_FOR, Listeners};
use super::Redis;
use super::answer::damaged;
use super::failure::failed;
use super::fence::Fence;
use confab_protocol::{Disconnect, Present, Room, Typing};
use futures_util::future::try_join_all;
use redis::Cmd;
use std::collections::BTreeMap;
use std::sync::Arc;

const KEEP: &str = include_str!("keep.lua");
const LISTENERS: &str = include_str!("listeners.lua");
/// About how many listeners are read at once.
const SCANNED_AT_ONCE: usize = 500;

/// What a relayed passage begins with; a relayed event begins with a number.
pub(super) const PASSAGE: u8 = b'~';
/// What a relayed typing begins with.
pub(super) const TYPING: u8 = b'^';
/// What a relayed disconnect begins with.
pub(super) const DISCONNECT: u8 = b'-';
/// What is said where there is news in the store.
pub(super) const NEWS: &[u8] = b"!";

impl Redis {
    pub(in crate::timeline) async fn attend(&self, changes: &[Attendance]) -> Result<(), Error> {
        let fence = self.fence()?;
        let mut by_slot: BTreeMap<u16, Vec<Cmd>> = BTreeMap::new();
        for change in changes {
            let listeners = self.inner.keys.listeners(&change.passage.room);
            let commands = by_slot.entry(fence.primaries.slot(&listeners)).or_default();
            commands.extend(self.noting(change, &listeners));
            commands.extend(self.announcing(change));
        }
        let sending = by_slot.iter().map(|(slot, commands)| fence.primaries.send(*slot, commands));
        try_join_all(sending).await.map(drop).map_err(|error| failed(&error))
    }

    /// What notes that somebody came or went, if it is to be noted.
    fn noting(&self, change: &Attendance, listeners: &str) -> Option<Cmd> {
        let Attendance { passage, listed: true, .. } = change else { return None };
        if !passage.here {
            let mut gone = redis::cmd("HDEL");
            gone.arg(listeners).arg(&passage.who.client);
            return Some(gone);
        }
        let shown = serde_json::to_string(&passage.who).expect("a session has a JSON form");
        let mut here = redis::cmd("EVAL");
        here.arg(KEEP).arg(1).arg(listeners).arg(&passage.who.client).arg(shown).arg(LISTENING_FOR.as_millis() as u64);
        Some(here)
    }

    /// What tells it to every hub that hears the room, if it is to be told.
    fn announcing(&self, change: &Attendance) -> Option<Cmd> {
        let Attendance { passage, announced: true, .. } = change else { return None };
        let mut said = vec![PASSAGE];
        serde_json::to_writer(&mut said, passage).expect("a passage has a JSON form");
        let mut tell = redis::cmd("SPUBLISH");
        tell.arg(self.inner.keys.relay(&passage.room)).arg(said);
        Some(tell)
    }

    /// A large room is read in parts, so that no part holds up other commands for long.
    pub(in crate::timeline) async fn listeners(&self, room: &Room, max: usize) -> Result<Listeners, Error> {
        let (name, fence) = (self.inner.keys.listeners(room), self.fence()?);
        let mut listeners = Listeners::default();
        let mut cursor = String::from("0");
        loop {
            let mut ask = redis::cmd("EVAL");
            ask.arg(LISTENERS).arg(1).arg(&name).arg(&cursor).arg(SCANNED_AT_ONCE);
            let part = fence.primaries.ask::<(String, usize, Vec<Vec<u8>>)>(&name, ask).await;
            let (next, total, shown) = part.map_err(|error| failed(&error))?;
            for one in shown {
                let one: Present =
                    serde_json::from_slice(&one).map_err(|error| damaged(format!("a listener: {error}")))?;
                listeners.some.insert(one.client.clone(), one);
            }
            listeners.total = total.max(listeners.some.len());
            if next == "0" {
                listeners.total = listeners.some.len();
                return Ok(listeners);
            }
            if listeners.some.len() >= max {
                return Ok(listeners);
            }
            cursor = next;
        }
    }

    pub(in crate::timeline) async fn tell_typing(&self, typing: &Typing) -> Result<(), Error> {
        let mut said = vec![TYPING];
        serde_json::to_writer(&mut said, typing).expect("that somebody is typing has a JSON form");
        self.tell(&self.inner.keys.relay(&typing.room), &said).await
    }

    pub(in crate::timeline) async fn tell_disconnect(&self, disconnect: &Disconnect) -> Result<(), Error> {
        let mut said = vec![DISCONNECT];
        serde_json::to_writer(&mut said, disconnect).expect("a disconnect has a JSON form");
        self.tell(&self.inner.keys.news(), &said).await
    }

    pub(in crate::timeline) async fn tell_news(&self) -> Result<(), Error> {
        self.tell(&self.inner.keys.news(), NEWS).await
    }

    async fn tell(&self, channel: &str, said: &[u8]) -> Result<(), Error> {
        let (fence, mut tell) = (self.fence()?, redis::cmd("SPUBLISH"));
        tell.arg(channel).arg(said);
        fence.primaries.send(fence.primaries.slot(channel), &[tell]).await.map_err(|error| failed(&error))
    }

    fn fence(&self) -> Result<Arc<Fence>, Error> {
        self.inner.client.standing().ok_or_else(|| Error::Unavailable("redis is unavailable".into()))
    }
}
