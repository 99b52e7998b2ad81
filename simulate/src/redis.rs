//! A Redis in memory: the data, the commands that our scripts use, and the scripts themselves, run by an embedded Lua.
//!
//! It answers as Redis does; `tests/real_redis.rs` calls both with the same scripts and compares every answer.

mod commands;
mod lua;
mod streams;

pub use commands::{Effect, Reply};
pub use lua::{Call, Called, Lua, Script};
pub use streams::{Stream, StreamId};

use std::collections::BTreeMap;

/// A value under a name.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string.
    Text(Vec<u8>),
    /// A hash.
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    /// A stream.
    Stream(Stream),
    /// A sorted set: members with their scores.
    Sorted(BTreeMap<Vec<u8>, f64>),
}

/// A value, and when it expires, in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    value: Value,
    expires: Option<u64>,
}

/// Everything that a server holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Data {
    names: BTreeMap<Vec<u8>, Held>,
}

impl Data {
    /// The names that begin so, as a scan finds them.
    pub fn beginning(&self, prefix: &str, holding: &str) -> Vec<String> {
        let names = self.names.keys().filter_map(|name| std::str::from_utf8(name).ok());
        let names = names.filter(|name| name.starts_with(prefix) && name.contains(holding));
        names.map(str::to_owned).collect()
    }

    fn live(&mut self, name: &[u8], now: u64) -> Option<&mut Held> {
        if self.names.get(name)?.expires.is_some_and(|end| now > end) {
            self.names.remove(name);
        }
        self.names.get_mut(name)
    }
}

/// A server: what it holds, who it is, and what it has written, so that a replica can be made that lags behind it.
#[derive(Clone, Debug)]
pub struct Server {
    /// Which run of which history: another is another server.
    pub identity: String,
    /// What it holds.
    pub data: Data,
    /// Whether it answers at all.
    pub up: bool,
    /// Whether its memory is full.
    pub full: bool,
    /// What each call has written, in order.
    log: Vec<Vec<Effect>>,
}

impl Server {
    /// A server that holds nothing.
    pub fn empty(identity: String) -> Self {
        Self { identity, data: Data::default(), up: true, full: false, log: Vec::new() }
    }

    /// What a replica of this server is that has not received the last so many writes.
    pub fn behind(&self, writes: usize, identity: String) -> Self {
        let log = self.log[..self.log.len().saturating_sub(writes)].to_vec();
        let mut data = Data::default();
        for effect in log.iter().flatten() {
            // What the server did is done again: it cannot fail.
            drop(data.apply(&effect.command, effect.now));
        }
        Self { identity, data, up: true, full: false, log }
    }

    /// Runs a script. What it published is in the answer.
    pub fn run(&mut self, lua: &Lua, call: &Call<'_>, now: u64) -> Called {
        let called = lua.call(&mut self.data, self.full, call, now);
        if !called.written.is_empty() {
            self.log.push(called.written.clone());
        }
        called
    }

    /// Runs one command.
    pub fn command(&mut self, command: &[&str], now: u64) -> Result<Reply, String> {
        let command: Vec<Vec<u8>> = command.iter().map(|part| part.as_bytes().to_vec()).collect();
        if self.full && commands::needs_memory(&command[0]) {
            return Err("OOM command not allowed when used memory > 'maxmemory'.".into());
        }
        let reply = self.data.apply(&command, now)?;
        if commands::writes(&command[0]) {
            self.log.push(vec![Effect { command, now }]);
        }
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 8] = ["generation", "meta", "window", "index", "deleted", "key", "pending", "relay"];

    /// Appends an event under a key of its own; answers its offset.
    fn append(server: &mut Server, lua: &Lua, id: &str) -> Result<Reply, String> {
        let mut keys = KEYS.map(str::to_owned);
        keys[5] = format!("key:{id}");
        let args = ["1", id, "digest", "0", "hub", "{}", "100", "1000", "1000", "", "", "room", "0", "100000"];
        let args = args.map(|arg| arg.as_bytes().to_vec());
        let called = server.run(lua, &Call { script: Script::Append, keys: &keys, args: &args }, 5000);
        called.answer.map(|answer| match answer {
            Reply::Array(list) => list[2].clone(),
            other => other,
        })
    }

    fn opened(lua: &Lua) -> Server {
        let mut server = Server::empty("first".into());
        let args = ["1", "first", "4000", "open", ""].map(|arg| arg.as_bytes().to_vec());
        let call = Call { script: Script::Open, keys: &["generation".to_owned()], args: &args };
        assert!(server.run(lua, &call, 4000).answer.is_ok());
        server
    }

    #[test]
    fn a_replica_that_lags_has_whole_scripts_and_gives_places_again() {
        let lua = Lua::new(|_, source| source.to_owned()).unwrap();
        let mut server = opened(&lua);
        for id in ["a", "b", "c"] {
            append(&mut server, &lua, id).unwrap();
        }
        assert_eq!(server.behind(0, "whole".into()).data, server.data);
        let mut behind = server.behind(2, "second".into());
        assert_ne!(behind.identity, server.identity);
        assert_eq!(append(&mut behind, &lua, "d"), Ok(Reply::Bulk(b"2".to_vec())), "b and c were lost, wholly");
        assert_eq!(append(&mut server, &lua, "d"), Ok(Reply::Bulk(b"4".to_vec())));
    }

    #[test]
    fn a_server_whose_memory_is_full_places_nothing_and_still_settles() {
        let lua = Lua::new(|_, source| source.to_owned()).unwrap();
        let mut server = opened(&lua);
        append(&mut server, &lua, "a").unwrap();
        let before = server.data.clone();
        server.full = true;
        let refused = append(&mut server, &lua, "b").unwrap_err();
        assert!(refused.contains("OOM"), "{refused}");
        assert_eq!(server.data, before);
        let keys = ["generation", "pending", "key:a"].map(str::to_owned);
        let args = ["1", "5000-0", "1"].map(|arg| arg.as_bytes().to_vec());
        let settled = server.run(&lua, &Call { script: Script::Settle, keys: &keys, args: &args }, 6000);
        assert_eq!(settled.answer, Ok(Reply::Array(vec![Reply::Bulk(b"done".to_vec())])));
        assert_eq!(server.command(&["XLEN", "pending"], 6000), Ok(Reply::Int(0)));
    }
}
