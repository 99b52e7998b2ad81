//! The way to Redis: one connection for all plugins, made anew when it broke.
//!
//! A plugin's call has milliseconds, and is dropped when they are over. So nobody who asks makes the connection: it is made beside
//! them, and goes on being made when they are gone; and a connection on which several in a row were dropped without an answer
//! counts as broken.

use super::super::Error;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, Pipeline, RedisError, RedisFuture, RedisResult, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A connection to the one server, or to all those of a cluster. Cheap to clone.
#[derive(Clone)]
pub enum Connection {
    /// To the one server.
    One(MultiplexedConnection),
    /// To each server of a cluster; questions go where their keys are.
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(one) => one.req_packed_command(cmd),
            Self::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        cmd: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(one) => one.req_packed_commands(cmd, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(one) => one.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}

/// Makes a connection to whoever serves at this moment; the text says why there is none.
pub type Dial = dyn Fn() -> BoxFuture<'static, Result<Connection, String>> + Send + Sync;

/// After how many questions in a row that nobody heard an answer to a connection counts as broken.
const UNANSWERED_MAX: u32 = 4;

/// One connection, or the making of it.
type Making = Shared<BoxFuture<'static, Result<Connection, String>>>;

/// The way.
pub struct Way {
    dial: Arc<Dial>,
    standing: Mutex<Option<Standing>>,
}

#[derive(Clone)]
struct Standing {
    making: Making,
    unanswered: Arc<AtomicU32>,
}

impl Way {
    /// A way that nobody has walked yet.
    pub fn new(dial: Arc<Dial>) -> Self {
        Self { dial, standing: Mutex::default() }
    }

    /// Asks a question.
    pub async fn ask<T, F: Future<Output = RedisResult<T>>>(
        &self,
        question: impl FnOnce(Connection) -> F,
    ) -> Result<T, Error> {
        let standing = self.standing();
        let asking = Asking { way: self, standing: &standing, answered: false };
        let connection = match standing.making.clone().await {
            Ok(connection) => connection,
            Err(why) => {
                asking.answered();
                self.discard(&standing);
                return Err(Error::Unavailable(why));
            }
        };
        let answer = question(connection).await;
        asking.answered();
        answer.map_err(|error| {
            if is_broken(&error) {
                self.discard(&standing);
            }
            Error::Unavailable(error.to_string())
        })
    }

    /// The connection that stands, or one that is made from now on.
    fn standing(&self) -> Standing {
        let mut standing = self.standing.lock();
        let make = || {
            let made = tokio::spawn((self.dial)());
            let making = async { made.await.unwrap_or_else(|_| Err("the hub is ending".into())) };
            Standing { making: making.boxed().shared(), unanswered: Arc::default() }
        };
        standing.get_or_insert_with(make).clone()
    }

    /// Forgets a connection, unless another one stands already.
    fn discard(&self, broken: &Standing) {
        let mut standing = self.standing.lock();
        if standing.as_ref().is_some_and(|standing| Arc::ptr_eq(&standing.unanswered, &broken.unanswered)) {
            *standing = None;
        }
    }
}

/// While a question is asked. Dropped before there is an answer, it is counted.
struct Asking<'a> {
    way: &'a Way,
    standing: &'a Standing,
    answered: bool,
}

impl Asking<'_> {
    fn answered(mut self) {
        self.answered = true;
        self.standing.unanswered.store(0, Ordering::Relaxed);
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        // One that is still being made ends by itself, in its own time.
        let made = self.standing.making.peek().is_some();
        if !self.answered && made && self.standing.unanswered.fetch_add(1, Ordering::Relaxed) + 1 >= UNANSWERED_MAX {
            self.way.discard(self.standing);
        }
    }
}

/// Whether the connection is of no more use: it broke, or leads to a server that is not the primary any more.
fn is_broken(error: &RedisError) -> bool {
    match error.code() {
        None => true,
        Some(code) => matches!(code, "READONLY" | "LOADING" | "MASTERDOWN" | "CLUSTERDOWN"),
    }
}
