//! For tests: a journal that takes everything, and a past in which nothing has happened.

use super::{BoxError, Commit, Memory, MemoryOptions, Past};
use crate::journal;
use crate::timeline::{Relay, Timeline};
use confab_protocol::{Cursor, Millis, Record, Room};
use confab_store::KeyUse;
use futures_util::future::BoxFuture;
use std::future::ready;
use std::sync::Arc;
use tokio::sync::mpsc;

struct Empty;

impl Commit for Empty {
    fn commit(&self, _: Vec<Arc<Record>>) -> BoxFuture<'_, Result<(), Arc<journal::Error>>> {
        Box::pin(ready(Ok(())))
    }
}

impl Past for Empty {
    fn top<'a>(&'a self, _: &'a Room) -> BoxFuture<'a, Result<Option<Cursor>, BoxError>> {
        Box::pin(ready(Ok(None)))
    }
    fn window<'a>(&'a self, _: &'a Room, _: usize) -> BoxFuture<'a, Result<Vec<Record>, BoxError>> {
        Box::pin(ready(Ok(Vec::new())))
    }
    fn keys<'a>(&'a self, _: &'a Room, _: Millis) -> BoxFuture<'a, Result<Vec<KeyUse>, BoxError>> {
        Box::pin(ready(Ok(Vec::new())))
    }
}

impl Memory {
    /// A timeline in which nothing has happened, and that keeps nothing.
    pub fn empty(options: MemoryOptions) -> (Timeline, mpsc::Receiver<Relay>) {
        Self::open(options, Arc::new(Empty), Arc::new(Empty))
    }
}
