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
//! the journal) counts as new: `lookup` does not know it, and `append` gives it a place in the new generation, but
//! under the id that it had, if the draft is the same, so that copies in the journal are copies of one event. With
//! another draft, `append` answers that it is known, with its old place, pending. A refusal does not replace it either.

mod answer;
mod ear;
mod face;
mod fence;
mod generation;
mod keys;
mod link;
mod nodes;
mod options;
mod presence;
mod refusal;
mod scripts;
mod sentinel;
mod server;
mod shards;
mod sweep;
mod tenure;

pub use options::{RedisOptions, WaitsFor};
pub use sentinel::SentinelOptions;
pub use server::Dialer;

use super::relays::Relays;
use super::{Counters, Error, Failure, Relay, Timeline};
use confab_protocol::{Millis, Record, Room};
use confab_store::KeyUse;
use ear::Ear;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use keys::Keys;
use link::Link;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// The journal, as the timeline needs it.
pub trait Truth: Send + Sync + 'static {
    /// Opens a generation: one record in the journal, whose place is the number. Numbers only rise.
    fn open_generation(&self) -> BoxFuture<'_, Result<u64, Failure>>;
    /// The number of the newest generation that was ever opened; 0 before the first. The journal is given a second to tell.
    fn newest_generation(&self) -> BoxFuture<'_, Result<u64, Failure>>;
    /// The keys of records that were journaled since then, in the journal's order. More than that does no harm.
    fn tail(&self, since: Millis) -> BoxStream<'_, Result<(Room, KeyUse), Failure>>;
    /// Writes a record down; returns when it is durable. A copy of one that is there already does no harm.
    fn append<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), Failure>>;
}

/// The timeline in Redis. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    options: Arc<RedisOptions>,
    keys: Keys,
    link: Link,
    ear: Ear,
    counters: Arc<Counters>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Ends the tasks even if nobody closes the timeline.
    _stop_on_drop: DropGuard,
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
        truth: Arc<dyn Truth>,
    ) -> Result<(Timeline, mpsc::Receiver<Relay>), Error> {
        let options = Arc::new(options);
        let counters = Arc::<Counters>::default();
        let (relays, heard) = Relays::new(options.relay_queue, counters.clone());
        let keys = Keys::new(&options)?;
        let dialer = Dialer::new(&options)?;
        let (dial, hears, counts) = (dialer.clone(), relays.clone(), counters.clone());
        let link = Link::new(options.clone(), keys.clone(), dial, truth.clone(), hears, counts);
        let ear = Ear::new(link.clone(), dialer, relays.clone());

        link.begin().await?;
        ear.begin().await?;

        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let _stop_on_drop = stop.clone().drop_guard();
        tasks.spawn(relays.run(stop.clone()));
        tasks.spawn(link.clone().keep(stop.clone()));
        tasks.spawn(link.clone().beat(stop.clone()));
        tasks.spawn(link.tenure.clone().keep(truth.clone(), stop.clone()));
        tasks.spawn(ear.clone().listen(stop.clone()));
        tasks.spawn(sweep::run(link.clone(), truth, stop.clone()));
        tasks.close();
        let inner = Inner { options, keys, link, ear, counters, tasks, stop, _stop_on_drop };
        Ok((Timeline::Redis(Self { inner: Arc::new(inner) }), heard))
    }

    pub(super) fn healthy(&self) -> bool {
        self.inner.link.standing().is_some() && self.inner.ear.hears()
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    pub(super) async fn subscribe(&self, room: &Room) -> Result<(), Error> {
        self.inner.ear.subscribe(room).await
    }

    pub(super) async fn unsubscribe(&self, room: &Room) {
        self.inner.ear.unsubscribe(room).await;
    }

    pub(super) async fn close(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.wait().await;
        self.inner.link.leave().await;
    }
}
