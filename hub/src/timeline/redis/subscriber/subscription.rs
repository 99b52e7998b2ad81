//! A subscription: the connections on which every wanted room is subscribed, one for each server.

use super::super::super::Error;
use super::super::failure::failed;
use crate::redis::{PushSender, Redirect, Shard, Shards};
use redis::aio::{AsyncPushSender, MultiplexedConnection, SendError};
use redis::{PushInfo, PushKind, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;

/// The bound of the queue between the connections' readers and the subscriber.
const PUSHES: usize = 4096;
/// How often a subscription follows a room that moves among servers, and how much longer it waits each time.
const MOVES: u32 = 5;
const MOVE_PAUSE: Duration = Duration::from_millis(5);

/// A live subscription, and what it brings.
pub(super) struct Subscription {
    pub(super) connections: Arc<Connections>,
    pub(super) pushes: mpsc::Receiver<PushInfo>,
    /// The channels on which the hub speaks to itself: one for each server that relays anything to it.
    pub(super) beats: Vec<String>,
}

/// The connections of a subscription.
pub(super) struct Connections {
    shards: Shards<MultiplexedConnection>,
    /// When each of them last brought anything.
    heard: Vec<Arc<Heard>>,
    pub(super) state: Arc<ConnectionState>,
}

#[derive(Default)]
pub(super) struct ConnectionState {
    /// Pushes were left out because the queue was full.
    pub(super) overflowed: AtomicBool,
    /// A connection is gone, or leads to servers that are not all there are.
    pub(super) gone: Notify,
}

/// When a connection last brought anything.
struct Heard {
    since: Instant,
    millis: AtomicU64,
}

impl Heard {
    fn now(&self) {
        self.millis.store(self.since.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    fn ago(&self) -> Duration {
        self.since.elapsed().saturating_sub(Duration::from_millis(self.millis.load(Ordering::Relaxed)))
    }
}

/// Where a connection's reader puts what it reads. It never waits.
struct Pushes {
    queue: mpsc::Sender<PushInfo>,
    state: Arc<ConnectionState>,
    heard: Arc<Heard>,
}

impl AsyncPushSender for Pushes {
    fn send(&self, push: PushInfo) -> Result<(), SendError> {
        if push.kind == PushKind::Disconnection {
            self.state.gone.notify_one();
            return Ok(());
        }
        self.heard.now();
        let ends = push.kind == PushKind::SUnsubscribe;
        if self.queue.try_send(push).is_err() {
            self.state.overflowed.store(true, Ordering::Release);
            if ends {
                self.state.gone.notify_one(); // whatever ended there must not stay so: new connections have it
            }
        }
        Ok(())
    }
}

/// The readers of connections that are being made.
pub(super) struct Readers {
    queue: mpsc::Sender<PushInfo>,
    state: Arc<ConnectionState>,
    heard: Vec<Arc<Heard>>,
}

impl Readers {
    /// None yet, and where all of them will put what they read.
    pub(super) fn new() -> (Self, mpsc::Receiver<PushInfo>) {
        let (queue, pushes) = mpsc::channel(PUSHES);
        (Self { queue, state: Arc::default(), heard: Vec::new() }, pushes)
    }

    /// One for the next connection.
    pub(super) fn add(&mut self) -> Option<PushSender> {
        let heard = Arc::new(Heard { since: Instant::now(), millis: AtomicU64::new(0) });
        self.heard.push(heard.clone());
        Some(Arc::new(Pushes { queue: self.queue.clone(), state: self.state.clone(), heard }))
    }

    /// The connections that they read.
    pub(super) fn of(self, shards: Shards<MultiplexedConnection>) -> Arc<Connections> {
        Arc::new(Connections { shards, heard: self.heard, state: self.state })
    }
}

impl Connections {
    /// Whether rooms may move from one of these connections to another.
    pub(super) fn clustered(&self) -> bool {
        self.shards.clustered()
    }

    fn shard(&self, channel: &str) -> &Shard<MultiplexedConnection> {
        self.shards.of(self.shards.slot(channel))
    }

    /// The connection on which a channel is heard.
    pub(super) fn connection(&self, channel: &str) -> MultiplexedConnection {
        self.shard(channel).it.clone()
    }

    /// Which of the connections a channel is heard on.
    pub(super) fn index(&self, channel: &str) -> usize {
        self.shards.index(self.shards.slot(channel))
    }

    /// How many connections there are.
    pub(super) fn len(&self) -> usize {
        self.shards.all().len()
    }

    /// How long ago the connection of a channel brought anything.
    pub(super) fn silent_for(&self, channel: &str) -> Duration {
        self.heard[self.index(channel)].ago()
    }

    /// Subscribes a channel where it is relayed, wherever that is by now. One at a time: the client takes a second
    /// confirmation for the answer to another command.
    pub(super) async fn subscribe(&self, channel: &str) -> Result<(), Error> {
        let slot = self.shards.slot(channel);
        let mut moves = 0;
        loop {
            let shard = self.shards.of(slot);
            let asked = redis::cmd("SSUBSCRIBE").arg(channel).query_async::<Value>(&mut shard.it.clone()).await;
            let Err(error) = asked else { return Ok(()) };
            let Some(redirect) = Redirect::of(&error, shard.at.as_ref()) else { return Err(failed(&error)) };
            if !self.shards.moved(slot, &redirect.to) {
                // A server that nobody here listens to: only new connections have it.
                self.state.gone.notify_one();
                return Err(failed(&error));
            }
            moves += 1;
            if moves > MOVES {
                return Err(failed(&error));
            }
            sleep(MOVE_PAUSE * moves).await; // not every server knows of a move at the same moment
        }
    }
}
