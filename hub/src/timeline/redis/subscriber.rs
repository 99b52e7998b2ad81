//! The subscriber: connections of its own, one to each server, over which this hub hears the rooms that it is subscribed to.
//!
//! What it hears goes through a bounded queue; whatever is lost on the way (a full queue, a broken or deaf connection, a
//! room that moved to another server of a cluster) ends in one [`super::super::Relay::Compare`], told only when every
//! subscription is live again.

mod subscription;

use super::super::{Counters, Error};
use super::client::{CONNECT_AGAIN, Client};
use super::failure::failed;
use super::keys::Keys;
use super::options::RedisOptions;
use super::signal::MARK;
use crate::backoff::Backoff;
use crate::log_limit::LogLimit;
use crate::redis::Dialer;
use crate::timeline::relays::Relays;
use confab_protocol::signal::To;
use confab_protocol::{Cursor, Record, Room, Signal};
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use redis::{PushInfo, PushKind, RedisResult, Value};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use subscription::{Connections, Readers, Subscription};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// How much is taken from the queue, or subscribed, at once.
const PUSHES_AT_ONCE: usize = 256;
/// How often the subscriber speaks to itself.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long a connection that hears nothing, not even itself, counts as alive.
const DEAF: Duration = Duration::from_secs(3);
/// How many rooms may be subscribed and unsubscribed at the same time.
const LOCKS: usize = 64;

/// The subscriber. Cheap to clone.
#[derive(Clone)]
pub(super) struct Subscriber {
    inner: Arc<Inner>,
}

struct Inner {
    /// The hub's own client: whether the subscriber hears the server that the hub speaks to is what matters.
    client: Client,
    options: Arc<RedisOptions>,
    keys: Keys,
    dialer: Dialer,
    relays: Relays,
    counters: Arc<Counters>,
    /// Hubs of another version may tell what this one cannot read, again and again.
    signals_log: LogLimit,
    wanted: Mutex<Wanted>,
    /// The connections on which every wanted room is subscribed; `None` while there are none.
    connections: watch::Sender<Option<Arc<Connections>>>,
    /// What [`Subscriber::begin`] made, until [`Subscriber::listen`] takes it.
    first: Mutex<Option<Subscription>>,
    /// One lock a room (or a few): subscribing and unsubscribing it never overtake one another.
    locks: [tokio::sync::Mutex<()>; LOCKS],
}

#[derive(Default)]
struct Wanted {
    rooms: HashSet<Room>,
    /// Channels whose subscription we end ourselves, so that an end that comes by itself is noticed.
    leaving: HashMap<Vec<u8>, u32>,
}

impl Wanted {
    /// Whether an end of this subscription was awaited: one of them has come now.
    fn left(&mut self, channel: &[u8]) -> bool {
        let Some(count) = self.leaving.get_mut(channel) else { return false };
        *count -= 1;
        if *count == 0 {
            self.leaving.remove(channel);
        }
        true
    }
}

impl Subscriber {
    pub(super) fn new(client: Client, dialer: Dialer, relays: Relays) -> Self {
        let options = client.options.clone();
        let keys = client.keys.clone();
        let counters = client.counters.clone();
        let inner = Inner {
            client,
            options,
            keys,
            dialer,
            relays,
            counters,
            signals_log: LogLimit::default(),
            wanted: Mutex::default(),
            connections: watch::Sender::new(None),
            first: Mutex::default(),
            locks: std::array::from_fn(|_| tokio::sync::Mutex::new(())),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Whether every wanted room is subscribed.
    pub(super) fn hears(&self) -> bool {
        self.inner.connections.borrow().is_some()
    }

    /// Subscribes for the first time. Waits for servers that are away, not for those that cannot be used.
    pub(super) async fn begin(&self) -> Result<(), Error> {
        let mut backoff = Backoff::new(CONNECT_AGAIN);
        loop {
            match self.connect().await {
                Ok(subscription) => {
                    self.inner.connections.send_replace(Some(subscription.connections.clone()));
                    *self.inner.first.lock() = Some(subscription);
                    return Ok(());
                }
                Err(refused @ Error::Refused(_)) => return Err(refused),
                Err(error) => {
                    tracing::warn!(%error, "could not subscribe to the relay, trying again");
                    self.inner.options.waits_for.note(&error);
                    backoff.wait().await;
                }
            }
        }
    }

    /// Listens until `stop`, connecting anew as often as it must.
    pub(super) async fn listen(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.listen_on()).await;
        self.inner.connections.send_replace(None);
    }

    async fn listen_on(&self) {
        let mut backoff = Backoff::new(CONNECT_AGAIN);
        let mut subscription = self.inner.first.lock().take();
        loop {
            if let Some(subscription) = subscription.take() {
                backoff = Backoff::new(CONNECT_AGAIN);
                let reason = self.hear(subscription).await;
                self.inner.connections.send_replace(None);
                tracing::warn!(reason, "relay connection lost");
            }
            match self.connect().await {
                Ok(live) => {
                    self.inner.connections.send_replace(Some(live.connections.clone()));
                    Counters::add(&self.inner.counters.resubscriptions);
                    tracing::info!("relay connection is back, every room will be compared");
                    self.inner.relays.compare();
                    subscription = Some(live);
                }
                Err(error) => {
                    tracing::warn!(%error, "could not subscribe to the relay, trying again");
                    backoff.wait().await;
                }
            }
        }
    }

    /// Connections on which every wanted room is subscribed already.
    async fn connect(&self) -> Result<Subscription, Error> {
        let inner = &*self.inner;
        let (mut readers, pushes) = Readers::new();
        let connections = inner.dialer.dial("relay", || readers.add()).await?;
        let connections = readers.of(connections);
        let rooms: Vec<Room> = {
            let mut wanted = inner.wanted.lock();
            wanted.leaving.clear();
            wanted.rooms.iter().cloned().collect()
        };
        let beats = self.begin_beats(&connections).await?;
        for beat in &beats {
            let heard = self.beat(beat).query_async::<u64>(&mut connections.connection(beat)).await;
            heard.map_err(|error| failed(&error))?;
        }
        for rooms in rooms.chunks(PUSHES_AT_ONCE) {
            let channels: Vec<String> = rooms.iter().map(|room| inner.keys.relay(room)).collect();
            try_join_all(channels.iter().map(|channel| connections.subscribe(channel))).await?;
        }
        Ok(Subscription { connections, pushes, beats })
    }

    /// Subscribes what is not a room's: the channel of all hubs, and those on which the hub hears itself, which are returned: one at each
    /// server that serves a bucket.
    async fn begin_beats(&self, connections: &Connections) -> Result<Vec<String>, Error> {
        let keys = &self.inner.keys;
        let mut beats = vec![None; connections.len()];
        for bucket in keys.buckets() {
            let channel = keys.heartbeat(bucket, &self.inner.options.hub_id);
            beats[connections.index(&channel)].get_or_insert(channel);
        }
        let beats: Vec<String> = beats.into_iter().flatten().collect();
        try_join_all(beats.iter().map(|beat| connections.subscribe(beat))).await?;
        connections.subscribe(&keys.hubs()).await?;
        Ok(beats)
    }

    /// What the hub says to itself.
    fn beat(&self, channel: &str) -> redis::Cmd {
        let mut beat = redis::cmd("SPUBLISH");
        beat.arg(channel).arg("");
        beat
    }

    /// Passes on what the subscription brings; returns why it must be given up.
    async fn hear(&self, mut subscription: Subscription) -> &'static str {
        let mut beats = interval(HEARTBEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut taken = Vec::with_capacity(PUSHES_AT_ONCE);
        loop {
            tokio::select! {
                count = subscription.pushes.recv_many(&mut taken, PUSHES_AT_ONCE) => {
                    if count == 0 {
                        return "the connection broke";
                    }
                    if subscription.beats.iter().all(|beat| subscription.connections.silent_for(beat) < 2 * HEARTBEAT) {
                        self.inner.counters.relay_heard();
                    }
                    let mut ended = HashSet::new();
                    for push in taken.drain(..) {
                        match self.ended_by_server(&push) {
                            Some(channel) => drop(ended.insert(channel)),
                            None => self.pass_on(&push),
                        }
                    }
                    if subscription.connections.state.overflowed.swap(false, Ordering::AcqRel) {
                        self.inner.relays.overflowed();
                    }
                    if !ended.is_empty() && !self.moved_over(&mut subscription, &ended).await {
                        return "the server ended a subscription";
                    }
                }
                () = subscription.connections.state.gone.notified() => return "the connection broke",
                _ = beats.tick() => {
                    if subscription.beats.iter().any(|beat| subscription.connections.silent_for(beat) > DEAF) {
                        return "the connection is deaf";
                    }
                    for beat in &subscription.beats {
                        if self.say(&subscription, beat).await.is_err() {
                            return "the connection takes nothing";
                        }
                    }
                }
            }
        }
    }

    /// Speaks to itself where the hub appends, so that a subscriber at another server (a former primary) is deaf.
    async fn say(&self, subscription: &Subscription, channel: &str) -> RedisResult<()> {
        let mut beat = self.beat(channel);
        beat.set_no_response(true);
        let Some(fence) = self.inner.client.standing() else {
            return beat.exec_async(&mut subscription.connections.connection(channel)).await;
        };
        let primaries = &fence.primaries;
        let mut connection = primaries.of(primaries.slot(channel)).it.connection.clone();
        // If that connection is broken the client notices; what counts here is what is heard.
        drop(beat.exec_async(&mut connection).await);
        Ok(())
    }

    /// Subscribes again, at the servers that have them now, what a cluster's servers ended because slots moved. `false`: it
    /// takes new connections.
    async fn moved_over(&self, subscription: &mut Subscription, ended: &HashSet<Vec<u8>>) -> bool {
        if !subscription.connections.clustered() {
            return false;
        }
        let inner = &*self.inner;
        let connections = subscription.connections.clone();
        let wanted: Vec<Room> = inner.wanted.lock().rooms.iter().cloned().collect();
        let channels: Vec<String> = wanted.iter().map(|room| inner.keys.relay(room)).collect();
        let moved: Vec<&String> = channels.iter().filter(|channel| ended.contains(channel.as_bytes())).collect();
        for some in moved.chunks(PUSHES_AT_ONCE) {
            if try_join_all(some.iter().map(|channel| connections.subscribe(channel))).await.is_err() {
                return false;
            }
        }
        let Ok(beats) = self.begin_beats(&connections).await else { return false };
        subscription.beats = beats;
        Counters::add(&inner.counters.resubscriptions);
        tracing::info!(channels = moved.len(), "rooms moved to other servers, every room will be compared");
        inner.relays.compare();
        true
    }

    fn pass_on(&self, push: &PushInfo) {
        let (PushKind::SMessage, [_, Value::BulkString(payload)]) = (&push.kind, &push.data[..]) else { return };
        if payload.is_empty() {
            return; // the heartbeat
        }
        if let [MARK, json @ ..] = &payload[..] {
            return self.pass_signal_on(json);
        }
        match read_relayed(payload) {
            Some(record) if self.inner.wanted.lock().rooms.contains(&record.event.room) => {
                self.inner.relays.event(Arc::new(record));
            }
            Some(_) => {} // a room that was left a moment ago
            None => {
                Counters::add(&self.inner.counters.unreadable_relays);
                tracing::error!("relayed event is unreadable, every room will be compared");
                self.inner.relays.compare();
            }
        }
    }

    /// Passes a signal on, unless it is for a room that was left a moment ago.
    fn pass_signal_on(&self, json: &[u8]) {
        match Signal::read(json) {
            Ok(Some(signal)) => {
                let left = matches!(&signal.to, To::Room(room) if !self.inner.wanted.lock().rooms.contains(room));
                if !left {
                    self.inner.relays.signal(Arc::new(signal));
                }
            }
            Ok(None) => {
                Counters::add(&self.inner.counters.unknown_signals);
                tracing::debug!("signal passed over: another version knows its kind");
            }
            Err(error) => {
                Counters::add(&self.inner.counters.unreadable_signals);
                if let Some(left_out) = self.inner.signals_log.may_write() {
                    tracing::warn!(%error, left_out, "signal passed over: it cannot be read");
                }
            }
        }
    }

    /// The channel whose subscription ended, if nobody here ended it (its slot moved to another server).
    fn ended_by_server(&self, push: &PushInfo) -> Option<Vec<u8>> {
        let (PushKind::SUnsubscribe, Some(Value::BulkString(channel))) = (&push.kind, push.data.first()) else {
            return None;
        };
        (!self.inner.wanted.lock().left(channel)).then(|| channel.clone())
    }

    pub(super) async fn subscribe(&self, room: &Room) -> Result<(), Error> {
        let inner = &*self.inner;
        let _lock = self.lock(room).lock().await;
        let channel = inner.keys.relay(room);
        let mut unwanted = Unwanted { wanted: &inner.wanted, room: Some(room) };
        inner.wanted.lock().rooms.insert(room.clone());
        let live = async {
            let mut changes = inner.connections.subscribe();
            loop {
                let current = changes.wait_for(Option::is_some).await.ok().and_then(|current| current.clone());
                let Some(connections) = current else { return };
                match connections.subscribe(&channel).await {
                    Ok(()) => return,
                    Err(error) => tracing::debug!(%error, %room, "subscription waits for another connection"),
                }
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        if timeout(inner.options.timeout, live).await.is_err() {
            return Err(Error::Unavailable(format!("redis does not relay room `{room}` at the moment")));
        }
        unwanted.room = None;
        Ok(())
    }

    pub(super) async fn unsubscribe(&self, room: &Room) {
        let inner = &*self.inner;
        let _lock = self.lock(room).lock().await;
        let channel = inner.keys.relay(room);
        let Some(connections) = inner.connections.borrow().clone() else {
            inner.wanted.lock().rooms.remove(room);
            return;
        };
        {
            let mut wanted = inner.wanted.lock();
            if !wanted.rooms.remove(room) {
                return;
            }
            *wanted.leaving.entry(channel.clone().into_bytes()).or_default() += 1;
        }
        let left = redis::cmd("SUNSUBSCRIBE").arg(&channel).exec_async(&mut connections.connection(&channel)).await;
        if let Err(error) = left {
            // New connections do not subscribe it; until then what it brings is not passed on.
            inner.wanted.lock().left(channel.as_bytes());
            tracing::debug!(%error, %room, "room not unsubscribed on this connection");
        }
    }

    fn lock(&self, room: &Room) -> &tokio::sync::Mutex<()> {
        &self.inner.locks[usize::from(self.inner.keys.bucket(room)) % LOCKS]
    }
}

/// Takes a room off the wanted ones when a subscription is given up half-way.
struct Unwanted<'a> {
    wanted: &'a Mutex<Wanted>,
    room: Option<&'a Room>,
}

impl Drop for Unwanted<'_> {
    fn drop(&mut self) {
        if let Some(room) = self.room {
            self.wanted.lock().rooms.remove(room);
        }
    }
}

/// Reads `<epoch>:<offset>:<record without place>`.
fn read_relayed(payload: &[u8]) -> Option<Record> {
    let mut parts = payload.splitn(3, |byte| *byte == b':');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
    let cursor = Cursor::new(number()?, number()?);
    Record::placed(parts.next()?, cursor).ok()
}
