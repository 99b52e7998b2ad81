//! One server in one generation: the only way to run a script that changes anything.

use super::super::Error;
use super::answer::{Answer, damaged};
use super::scripts::{Script, Scripts};
use super::sentinel::Address;
use super::server::{Server, failed};
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use std::time::{Duration, Instant};

/// A server that was checked, and knows our scripts.
pub(super) struct Footing {
    pub(super) server: Server,
    /// Where it is, if sentinels said so.
    pub(super) at: Option<Address>,
    pub(super) connection: MultiplexedConnection,
    pub(super) scripts: Scripts,
}

impl Footing {
    pub(super) async fn run(&self, script: Script, keys: &[String], args: &[Vec<u8>]) -> RedisResult<Value> {
        self.scripts.call(script, keys, args).query_async(&mut self.connection.clone()).await
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

    /// The server's clock, in milliseconds.
    pub(super) async fn now_ms(&self) -> Result<u64, Error> {
        let asked = redis::cmd("TIME").query_async::<(u64, u64)>(&mut self.connection.clone()).await;
        let (seconds, micros) = asked.map_err(|error| failed(&error))?;
        Ok(seconds * 1000 + micros / 1000)
    }
}

/// A server in a generation. When either ends, the fence is discarded and another is sought.
pub(super) struct Fence {
    pub(super) footing: Footing,
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
            (ErrorKind::Server(ServerErrorKind::NoScript | ServerErrorKind::ReadOnly), _) => Self::Elsewhere,
            (
                ErrorKind::Server(
                    ServerErrorKind::BusyLoading
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::ClusterDown
                    | ServerErrorKind::Moved
                    | ServerErrorKind::Ask
                    | ServerErrorKind::TryAgain,
                ),
                _,
            )
            | (_, Some("BUSY" | "OOM" | "NOREPLICAS" | "MISCONF")) => Self::Untouched,
            (ErrorKind::Io, _) => Self::Broken,
            _ if error.is_unrecoverable_error() => Self::Broken,
            _ => Self::Failed,
        }
    }
}
