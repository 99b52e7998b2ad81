//! Who listens, in Redis: one hash a room, whose entries end by themselves unless their hub says them again.
//!
//! None of this is fenced: nothing here has a place in an order, and what a lost Redis forgot is said again within
//! [`super::super::LISTENING_FOR`].

use super::super::{Error, LISTENING_FOR, Listeners, PresenceUpdate};
use super::Redis;
use super::answer::damaged;
use super::failure::failed;
use confab_protocol::{Present, Room};
use futures_util::future::try_join_all;
use redis::Cmd;
use std::collections::BTreeMap;

const KEEP: &str = include_str!("keep.lua");
const LISTENERS: &str = include_str!("listeners.lua");
/// About how many listeners are read at once.
const SCANNED_AT_ONCE: usize = 500;

impl Redis {
    pub(in crate::timeline) async fn attend(&self, changes: &[PresenceUpdate]) -> Result<(), Error> {
        let fence = self.fence()?;
        let mut by_slot: BTreeMap<u16, Vec<Cmd>> = BTreeMap::new();
        for change in changes {
            let listeners = self.inner.keys.listeners(&change.room);
            let commands = by_slot.entry(fence.primaries.slot(&listeners)).or_default();
            commands.extend(self.noting(change, &listeners));
            commands.extend(self.announcing(change));
        }
        let sending = by_slot.iter().map(|(slot, commands)| fence.primaries.send(*slot, commands));
        try_join_all(sending).await.map(drop).map_err(|error| failed(&error))
    }

    /// What notes that somebody came or went, if it is to be noted.
    fn noting(&self, change: &PresenceUpdate, listeners: &str) -> Option<Cmd> {
        let PresenceUpdate { who, here, listed: true, .. } = change else { return None };
        if !here {
            let mut gone = redis::cmd("HDEL");
            gone.arg(listeners).arg(&who.client);
            return Some(gone);
        }
        let shown = serde_json::to_string(who).expect("a session has a JSON form");
        let mut here = redis::cmd("EVAL");
        here.arg(KEEP).arg(1).arg(listeners).arg(&who.client).arg(shown).arg(LISTENING_FOR.as_millis() as u64);
        Some(here)
    }

    /// What tells it to every hub that hears the room, if it is to be told and not too large.
    fn announcing(&self, change: &PresenceUpdate) -> Option<Cmd> {
        let publishing = self.publishing(&change.signal()?);
        publishing.inspect_err(|error| tracing::warn!(%error, room = %change.room, "join or leave not announced")).ok()
    }

    /// A large room is read in parts, so that no part holds up other commands for long.
    pub(in crate::timeline) async fn listeners(&self, room: &Room, max: usize) -> Result<Listeners, Error> {
        let name = self.inner.keys.listeners(room);
        let fence = self.fence()?;
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
}
