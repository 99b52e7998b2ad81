//! The timeline in Redis: rooms in buckets, every step one script, fenced by generations.
//!
//! **The fence.** The text of every script names the server it was loaded into (run id and replication id), and it is
//! called by its hash alone. A server that restarted or was failed over to answers that it does not know the script,
//! and nothing is written; the same holds, by comparison inside the script, when another generation has begun. Either
//! way the hub looks who the server is, adopts the generation that stands for it or opens one, and asks again.
//!
//! **In a cluster** all this holds for the primaries together: each has scripts of its own, and the generation stands for
//! all of them. When one is replaced, all buckets get a new generation. A slot may move among them, with everything in it;
//! should a room's position be lost on the way all the same, its bucket knows that the room had begun, and ends its
//! generation.
//!
//! **A key that a lost generation left pending** (its dedupe entry survived a failover, its record may or may not be in
//! the journal) counts as new: `lookup` does not know it, and `append` gives it an offset in the new generation, but
//! under the id that it had, if the draft is the same, so that copies in the journal are copies of one event. With
//! another draft, `append` answers that it is known, with its old cursor, pending. A refusal does not replace it either.

mod answer;
mod append;
mod client;
mod failure;
mod fence;
mod generation;
mod journal_access;
mod keys;
mod older;
mod options;
mod presence;
mod primaries;
mod receipt_lease;
mod refusal;
mod scripts;
mod server;
mod signal;
mod steps;
mod subscriber;
mod sweep;
mod unread;

pub use journal_access::JournalAccess;
pub use options::{RedisOptions, WaitsFor, WindowOf};

use super::relays::Relays;
use super::{Counters, Error, Relay, Timeline};
use crate::redis::{self, Dialer};
use client::Client;
use confab_protocol::{Epoch, Room};
use keys::Keys;
use std::sync::Arc;
use subscriber::Subscriber;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// The timeline in Redis. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    options: Arc<RedisOptions>,
    keys: Keys,
    client: Client,
    subscriber: Subscriber,
    counters: Arc<Counters>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Ends the tasks even if nobody closes the timeline.
    _stop_on_drop: DropGuard,
}

impl From<redis::Error> for Error {
    fn from(error: redis::Error) -> Self {
        match error {
            redis::Error::Unavailable(reason) => Self::Unavailable(reason),
            redis::Error::Refused(reason) => Self::Refused(reason),
        }
    }
}

impl Redis {
    /// Connects, opens or adopts a generation, and starts the tasks that keep the timeline alive. The receiver hears
    /// the subscribed rooms, this hub's own events too.
    ///
    /// While Redis or the journal cannot be reached this tries again, with growing pauses, for as long as the caller
    /// waits.
    ///
    /// # Errors
    /// [`Error::Refused`] where waiting does not help: a Redis older than 7, one that evicts keys, another number of
    /// buckets, a wrong password or certificate.
    pub async fn connect(
        options: RedisOptions,
        journal: Arc<dyn JournalAccess>,
    ) -> Result<(Timeline, mpsc::Receiver<Relay>), Error> {
        let options = Arc::new(options);
        let counters = Arc::<Counters>::default();
        let (relays, heard) = Relays::new(options.relay_queue, counters.clone());
        let keys = Keys::new(&options)?;
        let dialer = Dialer::new(&options.servers())?;
        let dial = dialer.clone();
        let hears = relays.clone();
        let counts = counters.clone();
        let client = Client::new(options.clone(), keys.clone(), dial, journal.clone(), hears, counts);
        let subscriber = Subscriber::new(client.clone(), dialer, relays.clone());

        client.begin().await?;
        subscriber.begin().await?;

        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let _stop_on_drop = stop.clone().drop_guard();
        tasks.spawn(relays.run(stop.clone()));
        tasks.spawn(client.clone().keep(stop.clone()));
        tasks.spawn(client.clone().beat(stop.clone()));
        tasks.spawn(client.receipt_lease.clone().keep(journal.clone(), stop.clone()));
        tasks.spawn(subscriber.clone().listen(stop.clone()));
        tasks.spawn(sweep::run(client.clone(), journal, stop.clone()));
        tasks.close();
        let inner = Inner { options, keys, client, subscriber, counters, tasks, stop, _stop_on_drop };
        Ok((Timeline::Redis(Self { inner: Arc::new(inner) }), heard))
    }

    pub(super) fn healthy(&self) -> bool {
        self.inner.client.standing().is_some() && self.inner.subscriber.hears()
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    pub(super) async fn earlier_are_stored(&self, epoch: Epoch) -> Result<bool, Error> {
        self.inner.client.earlier_are_stored(epoch.0).await
    }

    pub(super) async fn subscribe(&self, room: &Room) -> Result<(), Error> {
        self.inner.subscriber.subscribe(room).await
    }

    pub(super) async fn unsubscribe(&self, room: &Room) {
        self.inner.subscriber.unsubscribe(room).await;
    }

    pub(super) async fn close(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.wait().await;
        self.inner.client.leave().await;
    }
}
