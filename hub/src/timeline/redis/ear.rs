//! The ear: one connection of its own on which this hub hears the rooms it listens to.
//!
//! What it hears goes through a bounded queue; whatever is lost on the way (a full queue, a broken or deaf connection)
//! ends in one [`super::super::Relay::Compare`], told only when every subscription is live again.

use super::super::{Counters, Error};
use super::RedisOptions;
use super::keys::Keys;
use super::link::{Link, Pause};
use super::presence::{NEWS, PASSAGE, TYPING};
use super::server::{Dialer, failed};
use crate::timeline::relays::Relays;
use confab_protocol::{Cursor, Passage, Record, Room, Typing};
use parking_lot::Mutex;
use redis::aio::{AsyncPushSender, MultiplexedConnection, SendError};
use redis::{PushInfo, PushKind, Value};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// The bound of the queue between the connection's reader and the ear.
const PUSHES: usize = 4096;
/// How much is taken from it at once.
const PUSHES_AT_ONCE: usize = 256;
/// How often the ear speaks to itself.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long a connection that hears nothing, not even itself, counts as alive.
const DEAF: Duration = Duration::from_secs(3);
/// How many rooms may be joined and left at the same time.
const DOORS: usize = 64;

/// The ear. Cheap to clone.
#[derive(Clone)]
pub(super) struct Ear {
    inner: Arc<Inner>,
}

struct Inner {
    /// The hub's own link: whether the ear hears the server that the hub speaks to is what matters.
    link: Link,
    options: Arc<RedisOptions>,
    keys: Keys,
    dialer: Dialer,
    relays: Relays,
    counters: Arc<Counters>,
    wanted: Mutex<Wanted>,
    /// The connection on which every wanted room is subscribed; `None` while there is none.
    line: watch::Sender<Option<MultiplexedConnection>>,
    /// The connection made by [`Ear::begin`], until [`Ear::listen`] takes it.
    first: Mutex<Option<Line>>,
    /// One door a room (or a few): joining and leaving it never overtake one another.
    doors: [tokio::sync::Mutex<()>; DOORS],
}

#[derive(Default)]
struct Wanted {
    rooms: HashSet<Room>,
    /// Channels whose subscription we end ourselves, so that an end that comes by itself is noticed.
    leaving: HashMap<Vec<u8>, u32>,
}

/// A live subscription connection.
struct Line {
    connection: MultiplexedConnection,
    pushes: mpsc::Receiver<PushInfo>,
    state: Arc<LineState>,
}

#[derive(Default)]
struct LineState {
    /// Pushes were left out because the queue was full.
    overflowed: AtomicBool,
    /// The connection is gone.
    gone: Notify,
}

/// Where the connection's reader puts what it reads. It never waits.
struct Pushes {
    queue: mpsc::Sender<PushInfo>,
    state: Arc<LineState>,
}

impl AsyncPushSender for Pushes {
    fn send(&self, push: PushInfo) -> Result<(), SendError> {
        if push.kind == PushKind::Disconnection {
            self.state.gone.notify_one();
            return Ok(());
        }
        if self.queue.try_send(push).is_err() {
            self.state.overflowed.store(true, Ordering::Release);
        }
        Ok(())
    }
}

impl Ear {
    pub(super) fn new(link: Link, dialer: Dialer, relays: Relays) -> Self {
        let (options, keys, counters) = (link.options.clone(), link.keys.clone(), link.counters.clone());
        let inner = Inner {
            link,
            options,
            keys,
            dialer,
            relays,
            counters,
            wanted: Mutex::default(),
            line: watch::Sender::new(None),
            first: Mutex::default(),
            doors: std::array::from_fn(|_| tokio::sync::Mutex::new(())),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Whether there is a connection on which every wanted room is subscribed.
    pub(super) fn hears(&self) -> bool {
        self.inner.line.borrow().is_some()
    }

    /// The first connection. Waits for servers that are away, not for those that cannot be used.
    pub(super) async fn begin(&self) -> Result<(), Error> {
        let mut pause = Pause::default();
        loop {
            match self.connect().await {
                Ok(line) => {
                    self.inner.line.send_replace(Some(line.connection.clone()));
                    *self.inner.first.lock() = Some(line);
                    return Ok(());
                }
                Err(refused @ Error::Refused(_)) => return Err(refused),
                Err(error) => {
                    tracing::warn!(%error, "redis relays nothing yet, trying again");
                    self.inner.options.waits_for.note(&error);
                    pause.wait().await;
                }
            }
        }
    }

    /// Listens until `stop`, connecting anew as often as it must.
    pub(super) async fn listen(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.listen_on()).await;
        self.inner.line.send_replace(None);
    }

    async fn listen_on(&self) {
        let mut pause = Pause::default();
        let mut line = self.inner.first.lock().take();
        loop {
            if let Some(line) = line.take() {
                pause = Pause::default();
                let reason = self.hear(line).await;
                self.inner.line.send_replace(None);
                tracing::warn!(reason, "relay connection lost");
            }
            match self.connect().await {
                Ok(live) => {
                    self.inner.line.send_replace(Some(live.connection.clone()));
                    Counters::add(&self.inner.counters.resubscriptions);
                    tracing::info!("relay connection is back, every room will be compared");
                    self.inner.relays.compare();
                    line = Some(live);
                }
                Err(error) => {
                    tracing::warn!(%error, "redis relays nothing at the moment");
                    pause.wait().await;
                }
            }
        }
    }

    /// A connection on which every wanted room is subscribed already.
    async fn connect(&self) -> Result<Line, Error> {
        let inner = &*self.inner;
        let state = Arc::<LineState>::default();
        let (queue, pushes) = mpsc::channel(PUSHES);
        let sender = Arc::new(Pushes { queue, state: state.clone() });
        let mut connection = inner.dialer.dial("relay", Some(sender)).await?.connection;
        let rooms: Vec<Room> = {
            let mut wanted = inner.wanted.lock();
            wanted.leaving.clear();
            wanted.rooms.iter().cloned().collect()
        };
        let heartbeat = inner.keys.heartbeat(&inner.options.hub_id);
        subscribe(&connection, &heartbeat).await?;
        subscribe(&connection, &inner.keys.news()).await?;
        let heard = redis::cmd("SPUBLISH").arg(&heartbeat).arg("").query_async::<u64>(&mut connection).await;
        heard.map_err(|error| failed(&error))?;
        for rooms in rooms.chunks(PUSHES_AT_ONCE) {
            let channels: Vec<String> = rooms.iter().map(|room| inner.keys.relay(room)).collect();
            let live = channels.iter().map(|channel| subscribe(&connection, channel));
            futures_util::future::try_join_all(live).await?;
        }
        Ok(Line { connection, pushes, state })
    }

    /// Passes on what the line brings; returns why it must be given up.
    async fn hear(&self, mut line: Line) -> &'static str {
        let heartbeat = self.inner.keys.heartbeat(&self.inner.options.hub_id);
        let mut beats = interval(HEARTBEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let mut taken = Vec::with_capacity(PUSHES_AT_ONCE);
        loop {
            tokio::select! {
                count = line.pushes.recv_many(&mut taken, PUSHES_AT_ONCE) => {
                    if count == 0 {
                        return "the connection broke";
                    }
                    heard = Instant::now();
                    self.inner.counters.relay_heard();
                    for push in taken.drain(..) {
                        if self.unsubscribed_by_server(&push) {
                            return "the server ended a subscription";
                        }
                        self.pass_on(&push);
                    }
                    if line.state.overflowed.swap(false, Ordering::AcqRel) {
                        self.inner.relays.overflowed();
                    }
                }
                () = line.state.gone.notified() => return "the connection broke",
                _ = beats.tick() => {
                    if heard.elapsed() > DEAF {
                        return "the connection is deaf";
                    }
                    let mut beat = redis::cmd("SPUBLISH");
                    beat.arg(&heartbeat).arg("").set_no_response(true);
                    // Said where the hub appends, so that an ear at another server (a primary of yesterday) is deaf.
                    let sent = match self.inner.link.standing() {
                        Some(fence) => {
                            // If that link is broken its own keeper will see it; what counts here is what is heard.
                            drop(beat.exec_async(&mut fence.footing.connection.clone()).await);
                            Ok(())
                        }
                        None => beat.exec_async(&mut line.connection).await,
                    };
                    if sent.is_err() {
                        return "the connection takes nothing";
                    }
                }
            }
        }
    }

    fn pass_on(&self, push: &PushInfo) {
        let (PushKind::SMessage, [_, Value::BulkString(payload)]) = (&push.kind, &push.data[..]) else { return };
        if payload.is_empty() {
            return; // the heartbeat
        }
        if payload == NEWS {
            return self.inner.relays.news();
        }
        if let [first @ (PASSAGE | TYPING), said @ ..] = &payload[..] {
            if let Err(error) = self.pass_on_passing(*first, said) {
                Counters::add(&self.inner.counters.unreadable_relays);
                tracing::error!(%error, "relayed passage is unreadable");
            }
            return;
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

    /// Passes on what has no place in the order, if the room was not left a moment ago.
    fn pass_on_passing(&self, first: u8, said: &[u8]) -> Result<(), serde_json::Error> {
        let wanted = |room: &Room| self.inner.wanted.lock().rooms.contains(room);
        if first == TYPING {
            let typing: Typing = serde_json::from_slice(said)?;
            if wanted(&typing.room) {
                self.inner.relays.typing(Arc::new(typing));
            }
        } else {
            let passage: Passage = serde_json::from_slice(said)?;
            if wanted(&passage.room) {
                self.inner.relays.passage(Arc::new(passage));
            }
        }
        Ok(())
    }

    /// Whether this says that a subscription ended that nobody here ended (its slot moved to another server).
    fn unsubscribed_by_server(&self, push: &PushInfo) -> bool {
        let (PushKind::SUnsubscribe, Some(Value::BulkString(channel))) = (&push.kind, push.data.first()) else {
            return false;
        };
        let mut wanted = self.inner.wanted.lock();
        let Some(count) = wanted.leaving.get_mut(channel) else { return true };
        *count -= 1;
        if *count == 0 {
            wanted.leaving.remove(channel);
        }
        false
    }

    pub(super) async fn subscribe(&self, room: &Room) -> Result<(), Error> {
        let inner = &*self.inner;
        let _door = self.door(room).lock().await;
        let channel = inner.keys.relay(room);
        let mut unwanted = Unwanted { wanted: &inner.wanted, room: Some(room) };
        inner.wanted.lock().rooms.insert(room.clone());
        let live = async {
            let mut lines = inner.line.subscribe();
            loop {
                let line = lines.wait_for(Option::is_some).await.ok().and_then(|line| line.clone());
                let Some(line) = line else { return };
                match subscribe(&line, &channel).await {
                    Ok(()) => return,
                    Err(error) => tracing::debug!(%error, %room, "subscription waits for another connection"),
                }
                if lines.changed().await.is_err() {
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
        let _door = self.door(room).lock().await;
        let channel = inner.keys.relay(room);
        let Some(mut line) = inner.line.borrow().clone() else {
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
        let left = redis::cmd("SUNSUBSCRIBE").arg(&channel).exec_async(&mut line).await;
        if let Err(error) = left {
            // The next connection does not subscribe it; until then what it brings is not passed on.
            tracing::debug!(%error, %room, "room not left on this connection");
        }
    }

    fn door(&self, room: &Room) -> &tokio::sync::Mutex<()> {
        &self.inner.doors[usize::from(self.inner.keys.bucket(room)) % DOORS]
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

/// Subscribes one channel. One at a time: the client takes a second confirmation for the answer to another command.
async fn subscribe(connection: &MultiplexedConnection, channel: &str) -> Result<(), Error> {
    let asked = redis::cmd("SSUBSCRIBE").arg(channel).query_async::<Value>(&mut connection.clone()).await;
    asked.map(drop).map_err(|error| failed(&error))
}

/// Reads `<epoch>:<offset>:<record without place>`.
fn read_relayed(payload: &[u8]) -> Option<Record> {
    let mut parts = payload.splitn(3, |byte| *byte == b':');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
    let cursor = Cursor::new(number()?, number()?);
    Record::placed(parts.next()?, cursor).ok()
}
