//! What plugins remember in a cluster: in Redis, shared by all hubs.
//!
//! All names of a plugin share its hash tag, so that one script may touch them: `<prefix>:kv:{plugin}:key:<key>` is a value, and
//! beside the values lie `ends`, when each key ends, `sizes`, how large each is and whose, and `owners`, how much each sender has;
//! they are what the limits are kept by. Every name expires.

mod shared_connection;

pub use shared_connection::Dial;

use super::{COUNTER_BYTES, Error, Space};
use ::redis::Script;
use shared_connection::SharedConnection;
use std::sync::Arc;
use std::time::Duration;

/// What plugins remember, in Redis. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    connection: Arc<SharedConnection>,
    prefix: Arc<str>,
    scripts: Arc<Scripts>,
}

struct Scripts {
    set: Script,
    increment: Script,
    delete: Script,
}

impl Redis {
    /// Over connections that `dial` makes. Nobody waits for the first: it is made when it is needed, and again whenever it broke.
    pub fn new(dial: Arc<Dial>, prefix: &str) -> Self {
        let script = |text: &str| Script::new(&[include_str!("redis/space.lua"), text].concat());
        let scripts = Scripts {
            set: script(include_str!("redis/set.lua")),
            increment: script(include_str!("redis/increment.lua")),
            delete: script(include_str!("redis/delete.lua")),
        };
        Self { connection: Arc::new(SharedConnection::new(dial)), prefix: prefix.into(), scripts: Arc::new(scripts) }
    }

    pub(super) async fn get(&self, space: &Space, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let mut get = ::redis::cmd("GET");
        get.arg(self.name(space, &format!("key:{key}")));
        self.connection.ask(|mut connection| async move { get.query_async(&mut connection).await }).await
    }

    pub(super) async fn set(&self, space: &Space, key: &str, value: Vec<u8>, life: Duration) -> Result<(), Error> {
        let size = key.len() + value.len();
        let mut set = self.scripts.set.prepare_invoke();
        self.names(space, key, &mut set);
        set.arg(key).arg(size).arg(millis(life)).arg(space.keys).arg(space.bytes).arg(value);
        owned(space, &mut set);
        let answer: String =
            self.connection.ask(|mut connection| async move { set.invoke_async(&mut connection).await }).await?;
        match answer.as_str() {
            "ok" => Ok(()),
            "full" => Err(Error::Full),
            other => Err(Error::Unavailable(format!("redis answered {other:?}"))),
        }
    }

    pub(super) async fn delete(&self, space: &Space, key: &str) -> Result<(), Error> {
        let mut delete = self.scripts.delete.prepare_invoke();
        self.names(space, key, &mut delete);
        delete.arg(key);
        self.connection
            .ask(|mut connection| async move { delete.invoke_async::<String>(&mut connection).await })
            .await?;
        Ok(())
    }

    pub(super) async fn increment(&self, space: &Space, key: &str, by: i64, life: Duration) -> Result<i64, Error> {
        let mut increment = self.scripts.increment.prepare_invoke();
        self.names(space, key, &mut increment);
        let size = key.len() + COUNTER_BYTES;
        increment.arg(key).arg(size).arg(millis(life)).arg(space.keys).arg(space.bytes).arg(by);
        owned(space, &mut increment);
        let answer: (String, Option<i64>) =
            self.connection.ask(|mut connection| async move { increment.invoke_async(&mut connection).await }).await?;
        match answer {
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
            .key(self.name(space, "sizes"))
            .key(self.name(space, "owners"));
    }
}

/// For whom a new key counts, and how much they may have.
fn owned(space: &Space, script: &mut ::redis::ScriptInvocation<'_>) {
    script.arg(format!("{:016x}", space.owner.0)).arg(space.sender_keys()).arg(space.sender_bytes());
}

fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX)
}
