//! One connection to Redis for all plugins, made anew when it broke.
//!
//! A plugin's call has milliseconds, and is dropped when they are over. So no call makes the connection: a task does, and
//! goes on when the call is dropped. A connection on which several calls in a row were dropped without an answer counts as
//! broken.

use super::super::Error;
use crate::redis::Connection;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use redis::{RedisError, RedisResult};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Makes a connection to whoever serves at this moment; the text says why there is none.
pub type Dial = dyn Fn() -> BoxFuture<'static, Result<Connection, String>> + Send + Sync;

/// After how many questions in a row that nobody heard an answer to a connection counts as broken.
const UNANSWERED_MAX: u32 = 4;

/// One connection, perhaps still being made.
type Connecting = Shared<BoxFuture<'static, Result<Connection, String>>>;

/// The connection that all calls share.
pub struct SharedConnection {
    dial: Arc<Dial>,
    current: Mutex<Option<Current>>,
}

#[derive(Clone)]
struct Current {
    connecting: Connecting,
    unanswered: Arc<AtomicU32>,
}

impl SharedConnection {
    /// Not connected yet: the first question does that.
    pub fn new(dial: Arc<Dial>) -> Self {
        Self { dial, current: Mutex::default() }
    }

    /// Asks a question.
    pub async fn ask<T, F: Future<Output = RedisResult<T>>>(
        &self,
        question: impl FnOnce(Connection) -> F,
    ) -> Result<T, Error> {
        let current = self.current();
        let asking = Asking { shared: self, current: &current, answered: false };
        let connection = match current.connecting.clone().await {
            Ok(connection) => connection,
            Err(why) => {
                asking.answered();
                self.discard(&current);
                return Err(Error::Unavailable(why));
            }
        };
        let answer = question(connection).await;
        asking.answered();
        answer.map_err(|error| {
            if is_broken(&error) {
                self.discard(&current);
            }
            Error::Unavailable(error.to_string())
        })
    }

    /// The connection that there is, or one that is made from now on.
    fn current(&self) -> Current {
        let mut current = self.current.lock();
        let make = || {
            let made = tokio::spawn((self.dial)());
            let connecting = async { made.await.unwrap_or_else(|_| Err("the hub is ending".into())) };
            Current { connecting: connecting.boxed().shared(), unanswered: Arc::default() }
        };
        current.get_or_insert_with(make).clone()
    }

    /// Forgets a connection, unless there is another one already.
    fn discard(&self, broken: &Current) {
        let mut current = self.current.lock();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(&current.unanswered, &broken.unanswered)) {
            *current = None;
        }
    }
}

/// While a question is asked. Dropped before there is an answer, it is counted.
struct Asking<'a> {
    shared: &'a SharedConnection,
    current: &'a Current,
    answered: bool,
}

impl Asking<'_> {
    fn answered(mut self) {
        self.answered = true;
        self.current.unanswered.store(0, Ordering::Relaxed);
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        // One that is still being made ends by itself, in its own time.
        let made = self.current.connecting.peek().is_some();
        if !self.answered && made && self.current.unanswered.fetch_add(1, Ordering::Relaxed) + 1 >= UNANSWERED_MAX {
            self.shared.discard(self.current);
        }
    }
}

/// Whether the connection is of no more use: it broke, or leads to a server that is no longer the primary.
fn is_broken(error: &RedisError) -> bool {
    match error.code() {
        None => true,
        Some(code) => matches!(code, "READONLY" | "LOADING" | "MASTERDOWN" | "CLUSTERDOWN"),
    }
}
