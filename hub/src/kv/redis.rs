//! What plugins remember in a cluster: in Redis, shared by all hubs.
//!
//! All names of a plugin share its hash tag, so that one script may touch them: `<prefix>:kv:{plugin}:key:<key>` is a value, and
//! beside the values lie `ends`, when each key ends, and `sizes`, how large each is; they are what the limits are kept by.
//! Every name expires.

use super::{COUNTER_BYTES, Error, Space};
use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, RedisError, Script};
use std::sync::Arc;
use std::time::Duration;

/// What plugins remember, in Redis. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
    prefix: Arc<str>,
    scripts: Arc<Scripts>,
}

struct Scripts {
    set: Script,
    increment: Script,
    delete: Script,
}

impl Redis {
    /// Makes the way to a server. Nobody waits for it: it is reached when it is first needed, and again whenever it was away.
    /// Must be called inside a Tokio runtime. `timeout` is the longest that an attempt to connect, or a command, may take.
    ///
    /// # Errors
    /// Where the client cannot be set up at all.
    pub fn open(client: Client, prefix: &str, timeout: Duration) -> Result<Self, RedisError> {
        // No attempts beside those that calls ask for: a call has milliseconds, and wants to hear at once that redis is away.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout));
        let connection = ConnectionManager::new_lazy_with_config(client, config)?;
        let script = |text: &str| Script::new(&[include_str!("redis/space.lua"), text].concat());
        let scripts = Scripts {
            set: script(include_str!("redis/set.lua")),
            increment: script(include_str!("redis/increment.lua")),
            delete: script(include_str!("redis/delete.lua")),
        };
        Ok(Self { connection, prefix: prefix.into(), scripts: Arc::new(scripts) })
    }

    pub(super) async fn get(&self, space: &Space, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut get = ::redis::cmd("GET");
        get.arg(self.name(space, &format!("key:{key}")));
        get.query_async(&mut self.connection.clone()).await.map_err(unavailable)
    }

    pub(super) async fn set(&self, space: &Space, key: &str, value: Vec<u8>, life: Duration) -> Result<(), Error> {
        let size = key.len() + value.len();
        let mut set = self.scripts.set.prepare_invoke();
        self.names(space, key, &mut set);
        set.arg(key).arg(size).arg(millis(life)).arg(space.keys).arg(space.bytes).arg(value);
        match set.invoke_async::<String>(&mut self.connection.clone()).await.map_err(unavailable)?.as_str() {
            "ok" => Ok(()),
            "full" => Err(Error::Full),
            other => Err(Error::Unavailable(format!("redis answered {other:?}"))),
        }
    }

    pub(super) async fn delete(&self, space: &Space, key: &str) -> Result<(), Error> {
        let mut delete = self.scripts.delete.prepare_invoke();
        self.names(space, key, &mut delete);
        delete.arg(key);
        delete.invoke_async::<String>(&mut self.connection.clone()).await.map_err(unavailable)?;
        Ok(())
    }

    pub(super) async fn increment(&self, space: &Space, key: &str, by: i64, life: Duration) -> Result<i64, Error> {
        let mut increment = self.scripts.increment.prepare_invoke();
        self.names(space, key, &mut increment);
        let size = key.len() + COUNTER_BYTES;
        increment.arg(key).arg(size).arg(millis(life)).arg(space.keys).arg(space.bytes).arg(by);
        let answer = increment.invoke_async::<(String, Option<i64>)>(&mut self.connection.clone()).await;
        match answer.map_err(unavailable)? {
            (word, Some(sum)) if word == "ok" => Ok(sum),
            (word, _) if word == "full" => Err(Error::Full),
            (word, _) if word == "no counter" => Err(Error::NotANumber),
            other => Err(Error::Unavailable(format!("redis answered {other:?}"))),
        }
    }

    fn name(&self, space: &Space, rest: &str) -> String {
        format!("{}:kv:{{{}}}:{rest}", self.prefix, space.name)
    }

    /// The names that a script may touch.
    fn names(&self, space: &Space, key: &str, script: &mut ::redis::ScriptInvocation<'_>) {
        script
            .key(self.name(space, &format!("key:{key}")))
            .key(self.name(space, "ends"))
            .key(self.name(space, "sizes"));
    }
}

fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX)
}

fn unavailable(error: RedisError) -> Error {
    Error::Unavailable(error.to_string())
}
