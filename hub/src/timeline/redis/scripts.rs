//! The scripts, and their loading into one server.

use redis::RedisResult;
use redis::aio::ConnectionLike;

/// Which script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Append,
    Settle,
    Remember,
    Lookup,
    Read,
    Find,
    Deleted,
    Sweep,
    Open,
    Refill,
    Lease,
    Forget,
}

const SOURCES: [(Script, &str); 12] = [
    (Script::Append, include_str!("append.lua")),
    (Script::Settle, include_str!("settle.lua")),
    (Script::Remember, include_str!("remember.lua")),
    (Script::Lookup, include_str!("lookup.lua")),
    (Script::Read, include_str!("read.lua")),
    (Script::Find, include_str!("find.lua")),
    (Script::Deleted, include_str!("deleted.lua")),
    (Script::Sweep, include_str!("sweep.lua")),
    (Script::Open, include_str!("open.lua")),
    (Script::Refill, include_str!("refill.lua")),
    (Script::Lease, include_str!("lease.lua")),
    (Script::Forget, include_str!("forget.lua")),
];

/// The hashes of the scripts as they were loaded into one server.
#[derive(Clone)]
pub(super) struct Scripts {
    hashes: Vec<String>,
}

impl Scripts {
    /// Loads the scripts. Their text names the server, so that no other server knows them by these hashes.
    pub(super) async fn load(connection: &mut impl ConnectionLike, identity: &str) -> RedisResult<Self> {
        let mut pipe = redis::pipe();
        for (_, source) in SOURCES {
            pipe.cmd("SCRIPT").arg("LOAD").arg(format!("-- only for {identity}\n{source}"));
        }
        Ok(Self { hashes: pipe.query_async(connection).await? })
    }

    /// The command that runs a script; never one that would load it.
    pub(super) fn call(&self, script: Script, keys: &[String], args: &[Vec<u8>]) -> redis::Cmd {
        let mut command = redis::cmd("EVALSHA");
        let index = SOURCES.iter().position(|(name, _)| *name == script).unwrap_or_default();
        command.arg(&self.hashes[index]).arg(keys.len()).arg(keys).arg(args);
        command
    }
}
