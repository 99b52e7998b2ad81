//! The servers of one generation: the only way to run a script that changes anything.
//!
//! In a cluster a question goes to whoever serves the slot of its keys, and is followed where the cluster sends it, but
//! only to servers of this fence: a primary that nobody looked at knows none of our scripts.

use super::super::Error;
use super::answer::{Answer, damaged};
use super::scripts::{Script, Scripts};
use super::server::{Server, failed};
use super::shards::{Redirect, Shard, Shards};
use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind, Value};
use std::time::{Duration, Instant};

/// A server that was checked, and knows our scripts.
pub(super) struct Footing {
    pub(super) server: Server,
    pub(super) connection: MultiplexedConnection,
    pub(super) scripts: Scripts,
}

/// How often one question is sent on to another server before it is somebody else's turn to wait.
const REDIRECTIONS: usize = 4;

/// A script with its keys and arguments.
pub(super) type Call = (Script, Vec<String>, Vec<Vec<u8>>);

/// All servers that a hub stands on: one, or the primaries of a cluster.
pub(super) type Ground = Shards<Footing>;

impl Ground {
    /// Who the servers are: another one among them, and it is another ground.
    pub(super) fn identity(&self) -> String {
        let mut identities: Vec<&str> = self.all().iter().map(|shard| shard.it.server.identity.as_str()).collect();
        if !self.clustered() {
            return identities[0].to_owned();
        }
        identities.sort_unstable();
        format!("cluster/{}", &blake3::hash(identities.join(" ").as_bytes()).to_hex()[..32])
    }

    /// Runs a script at the server of its keys.
    pub(super) async fn run(&self, script: Script, keys: &[String], args: &[Vec<u8>]) -> RedisResult<Value> {
        let slot = keys.first().map_or(0, |key| self.slot(key));
        self.answers(slot, |footing| vec![footing.scripts.call(script, keys, args)]).await.map(last)
    }

    /// Runs scripts, each at the server of its keys, all at once.
    ///
    /// # Errors
    /// What went wrong first; the others may have run.
    pub(super) async fn run_all(&self, calls: &[Call]) -> RedisResult<Vec<Value>> {
        self.run_each(calls).await.into_iter().collect()
    }

    /// The same, each with its own answer.
    pub(super) async fn run_each(&self, calls: &[Call]) -> Vec<RedisResult<Value>> {
        join_all(calls.iter().map(|(script, keys, args)| self.run(*script, keys, args))).await
    }

    /// Asks the server of this key something about it.
    pub(super) async fn ask<T: FromRedisValue>(&self, key: &str, command: Cmd) -> RedisResult<T> {
        let answer = self.answers(self.slot(key), |_| vec![command.clone()]).await.map(last)?;
        Ok(redis::from_redis_value(answer)?)
    }

    /// Sends commands in their order to the server of their slot. Sent on to another server, all are sent again.
    pub(super) async fn send(&self, slot: u16, commands: &[Cmd]) -> RedisResult<()> {
        self.answers(slot, |_| commands.to_vec()).await.map(drop)
    }

    /// The answers of the slot's server, wherever it is by now.
    async fn answers(&self, slot: u16, commands: impl Fn(&Footing) -> Vec<Cmd>) -> RedisResult<Vec<Value>> {
        let (mut shard, mut once) = (self.of(slot), false);
        for _ in 1..REDIRECTIONS {
            let answered = shard.it.send(commands(&shard.it), once).await;
            let Err(error) = answered else { return answered };
            let Some((next, next_once)) = self.redirected(slot, &error, shard) else { return Err(error) };
            (shard, once) = (next, next_once);
        }
        shard.it.send(commands(&shard.it), once).await
    }

    /// Where an error sends us, if it is a server that we stand on.
    fn redirected(&self, slot: u16, error: &RedisError, asked: &Shard<Footing>) -> Option<(&Shard<Footing>, bool)> {
        let redirect = Redirect::of(error, asked.at.as_ref())?;
        let next = self.at(&redirect.to)?;
        if !redirect.once {
            self.moved(slot, &redirect.to);
        }
        Some((next, redirect.once))
    }

    /// Takes, renews or (with no time) frees a lease. `false`: somebody else holds it.
    pub(super) async fn lease(&self, lease: &str, who: &str, time: Duration) -> Result<bool, Error> {
        let args = [who.as_bytes().to_vec(), time.as_millis().to_string().into_bytes()];
        let answer = self.run(Script::Lease, &[lease.to_owned()], &args).await.map_err(|error| failed(&error))?;
        match Answer::of(answer)?.text()?.as_str() {
            "mine" => Ok(true),
            "theirs" => Ok(false),
            other => Err(damaged(format!("a lease answers `{other}`"))),
        }
    }

    /// The clock of the server of a key, in milliseconds.
    pub(super) async fn now_ms(&self, key: &str) -> Result<u64, Error> {
        let mut connection = self.of(self.slot(key)).it.connection.clone();
        let asked = redis::cmd("TIME").query_async::<(u64, u64)>(&mut connection).await;
        let (seconds, micros) = asked.map_err(|error| failed(&error))?;
        Ok(seconds * 1000 + micros / 1000)
    }

    /// Whether every server is still the one that it was.
    pub(super) async fn is_unchanged(&self) -> Result<bool, Error> {
        let asking = self.all().iter().map(|shard| async {
            let found = Server::ask(&mut shard.it.connection.clone()).await?;
            Ok(found == shard.it.server)
        });
        let found = join_all(asking).await.into_iter().collect::<Result<Vec<bool>, Error>>()?;
        Ok(found.into_iter().all(|same| same))
    }
}

impl Footing {
    /// Sends commands in one go. `once`: they are asked of a server that their slot is only on its way to.
    async fn send(&self, commands: Vec<Cmd>, once: bool) -> RedisResult<Vec<Value>> {
        let mut connection = self.connection.clone();
        if let (false, [command]) = (once, &commands[..]) {
            return Ok(vec![command.query_async(&mut connection).await?]);
        }
        let mut pipe = redis::pipe();
        for command in commands {
            if once {
                pipe.cmd("ASKING").ignore();
            }
            pipe.add_command(command);
        }
        pipe.query_async(&mut connection).await
    }
}

fn last(mut answers: Vec<Value>) -> Value {
    answers.pop().unwrap_or(Value::Nil)
}

/// Servers in a generation. When either ends, the fence is discarded and another is sought.
pub(super) struct Fence {
    pub(super) ground: Ground,
    pub(super) generation: u64,
    /// When this hub came to it: nobody else is called dead before they had the time to come too.
    pub(super) since: Instant,
}

/// What became of a script that was not answered as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Another server answered, and did nothing.
    Elsewhere,
    /// The server did nothing, and cannot at the moment.
    Untouched,
    /// The cluster did nothing, because it is rearranging itself: it can in a moment.
    Moving,
    /// The connection broke: it may have happened or not.
    Broken,
    /// No answer came in time: it may have happened or not, or happen yet.
    Late,
    /// The server began and failed.
    Failed,
}

impl Fate {
    pub(super) fn of(error: &RedisError) -> Self {
        if error.is_timeout() {
            return Self::Late;
        }
        match (error.kind(), error.code()) {
            (ErrorKind::Server(ServerErrorKind::NoScript | ServerErrorKind::ReadOnly | ServerErrorKind::Moved), _) => {
                Self::Elsewhere
            }
            (ErrorKind::Server(ServerErrorKind::Ask | ServerErrorKind::TryAgain | ServerErrorKind::ClusterDown), _) => {
                Self::Moving
            }
            (ErrorKind::Server(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown), _)
            | (_, Some("BUSY" | "OOM" | "NOREPLICAS" | "MISCONF")) => Self::Untouched,
            (ErrorKind::Io, _) => Self::Broken,
            _ if error.is_unrecoverable_error() => Self::Broken,
            _ => Self::Failed,
        }
    }
}
