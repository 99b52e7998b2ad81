//! The servers of one generation, a single one or the primaries of a cluster: the only way to run a script that changes
//! anything.
//!
//! In a cluster a call goes to whoever serves the slot of its keys, and is followed where the cluster sends it, but
//! only to servers of this fence: a primary that nobody looked at knows none of our scripts.

use super::super::Error;
use super::answer::{Answer, damaged};
use super::failure::failed;
use super::scripts::{Script, Scripts};
use super::server::{Server, memory};
use crate::redis::{Dialer, Redirect, Shard, Shards};
use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, RedisError, RedisResult, Value};
use std::time::Duration;

/// A server that was checked, and knows our scripts.
pub(super) struct Primary {
    pub(super) server: Server,
    pub(super) connection: MultiplexedConnection,
    pub(super) scripts: Scripts,
}

/// How often one call is sent on to another server before the caller is told that it failed.
const REDIRECTIONS: usize = 4;

/// A script with its keys and arguments.
pub(super) type Call = (Script, Vec<String>, Vec<Vec<u8>>);

/// All servers that a hub uses: one, or the primaries of a cluster.
pub(super) type Primaries = Shards<Primary>;

impl Primaries {
    /// Who the servers are: another one among them, and it is another identity.
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
        self.answers(slot, |primary| vec![primary.scripts.call(script, keys, args)]).await.map(last)
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

    /// The answers of the server that has the slot by now.
    async fn answers(&self, slot: u16, commands: impl Fn(&Primary) -> Vec<Cmd>) -> RedisResult<Vec<Value>> {
        let mut shard = self.of(slot);
        let mut once = false;
        for _ in 1..REDIRECTIONS {
            let answered = shard.it.send(commands(&shard.it), once).await;
            let Err(error) = answered else { return answered };
            let Some((next, next_once)) = self.redirected(slot, &error, shard) else { return Err(error) };
            (shard, once) = (next, next_once);
        }
        shard.it.send(commands(&shard.it), once).await
    }

    /// Where an error sends us, if it is one of these servers.
    fn redirected(&self, slot: u16, error: &RedisError, asked: &Shard<Primary>) -> Option<(&Shard<Primary>, bool)> {
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

    /// Whether another server is a primary by now, as far as sentinels or the cluster say so.
    pub(super) async fn have_moved(&self, dialer: &Dialer) -> bool {
        dialer.has_moved(self, &self.all()[0].it.connection).await
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

    /// How many bytes of memory the fullest server uses, and the most that it may; 0: as many as there are.
    pub(super) async fn memory(&self) -> Result<(u64, u64), Error> {
        let asking = self.all().iter().map(|shard| async { memory(&mut shard.it.connection.clone()).await });
        let found = join_all(asking).await.into_iter().collect::<Result<Vec<_>, Error>>()?;
        let per_mille = |(used, most): &(u64, u64)| used.saturating_mul(1000).checked_div(*most).unwrap_or(0);
        Ok(found.into_iter().max_by_key(|server| (per_mille(server), server.0)).unwrap_or_default())
    }
}

impl Primary {
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
