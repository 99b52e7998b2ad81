//! What the timeline in Redis asks of the journal, answered by Kafka and the store.

use crate::journal::Kafka;
use crate::timeline::{BoxError, JournalAccess};
use confab_protocol::{EventId, Millis, Record, Room};
use confab_store::{KeyUse, Store};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long reading the journal's tail may take when a generation is opened.
const TAIL_DEADLINE: Duration = Duration::from_secs(600);
/// How long the ends of the journal's partitions may take to be found.
const ENDS_DEADLINE: Duration = Duration::from_secs(30);
/// How often a hub that waits for the store to come up to them asks whether the ends are still there.
const LOOK_AT_ENDS: Duration = Duration::from_secs(10);
/// How many numbers are left out after the store's newest generation where the journal has lost its own.
const GENERATIONS_LEFT_OUT: u64 = 1000;
/// How many of the tail's keys may wait for the timeline to take them.
const TAIL_QUEUE: usize = 1024;

/// The timeline in Redis opens its generations in the journal, refills from it, and sweeps into it.
pub(super) struct Journaled {
    kafka: Kafka,
    store: Store,
    hub_id: String,
    /// The topic of events.
    topic: String,
    /// When it was last asked where that ends now.
    looked_at_ends: Mutex<Option<Instant>>,
}

impl Journaled {
    /// `topic`: that of events.
    pub(super) fn new(kafka: Kafka, store: Store, hub_id: String, topic: String) -> Self {
        Self { kafka, store, hub_id, topic, looked_at_ends: Mutex::default() }
    }

    /// A number that no generation of which events are stored is above. A journal that knows fewer than the store was made
    /// anew, and may have known some that the store never heard of.
    async fn stored_generation(&self) -> Result<u64, BoxError> {
        let journaled = self.kafka.newest_generation().await?;
        let stored = match self.store.newest_epoch().await {
            Ok(stored) => stored.unwrap_or_default(),
            Err(error) if journaled > 0 => {
                tracing::warn!(%error, "could not ask the store for its newest epoch: the journal's generations must do");
                return Ok(0);
            }
            Err(error) => return Err(error.into()),
        };
        Ok(if stored > journaled { stored + GENERATIONS_LEFT_OUT } else { 0 })
    }
}

impl JournalAccess for Journaled {
    fn open_generation(&self, above: u64) -> BoxFuture<'_, Result<u64, BoxError>> {
        Box::pin(async move {
            let above = self.stored_generation().await?.max(above);
            Ok(self.kafka.open_generation(&self.hub_id, above).await?)
        })
    }

    fn newest_generation(&self) -> BoxFuture<'_, Result<u64, BoxError>> {
        Box::pin(async move { Ok(self.kafka.newest_generation().await?) })
    }

    fn tail(&self, since: Millis) -> BoxStream<'_, Result<(Room, KeyUse), BoxError>> {
        let (keys, read) = mpsc::channel(TAIL_QUEUE);
        let kafka = self.kafka.clone();
        let last = keys.clone();
        tokio::spawn(async move {
            // Called on a thread that may block: a full queue holds up the reading, which is the bound.
            let each = move |record: Record| drop(keys.blocking_send(Ok(key_use(record))));
            if let Err(error) = kafka.tail(since, TAIL_DEADLINE, each).await {
                drop(last.send(Err(error.into())).await);
            }
        });
        futures_util::stream::unfold(read, |mut read| async move { read.recv().await.map(|next| (next, read)) }).boxed()
    }

    fn end(&self) -> BoxFuture<'_, Result<String, BoxError>> {
        Box::pin(async move { Ok(serde_json::to_string(&self.kafka.ends(ENDS_DEADLINE).await?)?) })
    }

    fn is_stored<'a>(&'a self, end: &'a str) -> BoxFuture<'a, Result<bool, BoxError>> {
        Box::pin(async move {
            let mut ends: BTreeMap<i32, i64> = serde_json::from_str(end)?;
            if self.store.has_read(&self.topic, &ends).await? {
                return Ok(true);
            }
            {
                let mut looked = self.looked_at_ends.lock();
                if looked.is_some_and(|looked| looked.elapsed() < LOOK_AT_ENDS) {
                    return Ok(false);
                }
                *looked = Some(Instant::now());
            }
            // What retention took, or what a topic that was made anew does not have, is never read.
            let now = self.kafka.ends(ENDS_DEADLINE).await?;
            ends.retain(|partition, _| now.contains_key(partition));
            ends.iter_mut().for_each(|(partition, end)| *end = (*end).min(now[partition]));
            Ok(self.store.has_read(&self.topic, &ends).await?)
        })
    }

    fn append_text<'a>(&'a self, room: &'a Room, id: EventId, text: &'a str) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(async move { Ok(self.kafka.append_text(room, id, "unreadable", text.to_owned()).await?) })
    }

    fn append<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(async move { Ok(self.kafka.append(record).await?) })
    }
}

fn key_use(record: Record) -> (Room, KeyUse) {
    let Record { event, cursor, .. } = record;
    let key =
        KeyUse { sender: event.sender.user, key: event.key, id: event.id, cursor, digest: event.digest, at: event.at };
    (event.room, key)
}
