//! The ear: connections of its own, one to each server, on which this hub hears the rooms it listens to.
//!
//! What it hears goes through a bounded queue; whatever is lost on the way (a full queue, a broken or deaf connection, a
//! room that moved to another server of a cluster) ends in one [`super::super::Relay::Compare`], told only when every
//! subscription is live again.

mod line;

use super::super::{Counters, Error};
use super::RedisOptions;
use super::keys::Keys;
use super::link::{Link, Pause};
use super::presence::{NEWS, PASSAGE, TYPING};
use super::server::{Dialer, failed};
use crate::timeline::relays::Relays;
use confab_protocol::{Cursor, Passage, Record, Room, Typing};
use futures_util::future::try_join_all;
use line::{Line, Readers, Wires};
use parking_lot::Mutex;
use redis::{PushInfo, PushKind, RedisResult, Value};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// How much is taken from the queue, or subscribed, at once.
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
    /// The line on which every wanted room is subscribed; `None` while there is none.
    line: watch::Sender<Option<Arc<Wires>>>,
    /// The line made by [`Ear::begin`], until [`Ear::listen`] takes it.
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

    /// Whether there is a line on which every wanted room is subscribed.
    pub(super) fn hears(&self) -> bool {
        self.inner.line.borrow().is_some()
    }

    /// The first line. Waits for servers that are away, not for those that cannot be used.
    pub(super) async fn begin(&self) -> Result<(), Error> {
        let mut pause = Pause::default();
        loop {
            match self.connect().await {
                Ok(line) => {
                    self.inner.line.send_replace(Some(line.wires.clone()));
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
                    self.inner.line.send_replace(Some(live.wires.clone()));
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

    /// A line on which every wanted room is subscribed already.
    async fn connect(&self) -> Result<Line, Error> {
        let inner = &*self.inner;
        let (mut readers, pushes) = Readers::new();
        let connections = inner.dialer.dial("relay", || readers.add()).await?;
        let wires = readers.of(connections);
        let rooms: Vec<Room> = {
            let mut wanted = inner.wanted.lock();
            wanted.leaving.clear();
            wanted.rooms.iter().cloned().collect()
        };
        let beats = self.begin_beats(&wires).await?;
        for beat in &beats {
            let heard = self.beat(beat).query_async::<u64>(&mut wires.connection(beat)).await;
            heard.map_err(|error| failed(&error))?;
        }
        for rooms in rooms.chunks(PUSHES_AT_ONCE) {
            let channels: Vec<String> = rooms.iter().map(|room| inner.keys.relay(room)).collect();
            try_join_all(channels.iter().map(|channel| wires.subscribe(channel))).await?;
        }
        Ok(Line { wires, pushes, beats })
    }

    /// Subscribes what is not a room's: news, and the channels on which the hub hears itself, which are returned: one at each
    /// server that serves a bucket.
    async fn begin_beats(&self, wires: &Wires) -> Result<Vec<String>, Error> {
        let (keys, mut beats) = (&self.inner.keys, vec![None; wires.len()]);
        for bucket in keys.buckets() {
            let channel = keys.heartbeat(bucket, &self.inner.options.hub_id);
            beats[wires.place(&channel)].get_or_insert(channel);
        }
        let beats: Vec<String> = beats.into_iter().flatten().collect();
        try_join_all(beats.iter().map(|beat| wires.subscribe(beat))).await?;
        wires.subscribe(&keys.news()).await?;
        Ok(beats)
    }

    /// What the hub says to itself.
    fn beat(&self, channel: &str) -> redis::Cmd {
        let mut beat = redis::cmd("SPUBLISH");
        beat.arg(channel).arg("");
        beat
    }

    /// Passes on what the line brings; returns why it must be given up.
    async fn hear(&self, mut line: Line) -> &'static str {
        let mut beats = interval(HEARTBEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut taken = Vec::with_capacity(PUSHES_AT_ONCE);
        loop {
            tokio::select! {
                count = line.pushes.recv_many(&mut taken, PUSHES_AT_ONCE) => {
                    if count == 0 {
                        return "the connection broke";
                    }
                    if line.beats.iter().all(|beat| line.wires.silent_for(beat) < 2 * HEARTBEAT) {
                        self.inner.counters.relay_heard();
                    }
                    let mut ended = HashSet::new();
                    for push in taken.drain(..) {
                        match self.ended_by_server(&push) {
                            Some(channel) => drop(ended.insert(channel)),
                            None => self.pass_on(&push),
                        }
                    }
                    if line.wires.state.overflowed.swap(false, Ordering::AcqRel) {
                        self.inner.relays.overflowed();
                    }
                    if !ended.is_empty() && !self.moved_over(&mut line, &ended).await {
                        return "the server ended a subscription";
                    }
                }
                () = line.wires.state.gone.notified() => return "the connection broke",
                _ = beats.tick() => {
                    if line.beats.iter().any(|beat| line.wires.silent_for(beat) > DEAF) {
                        return "the connection is deaf";
                    }
                    for beat in &line.beats {
                        if self.say(&line, beat).await.is_err() {
                            return "the connection takes nothing";
                        }
                    }
                }
            }
        }
    }

    /// Speaks to itself where the hub appends, so that an ear at another server (a primary of yesterday) is deaf.
    async fn say(&self, line: &Line, channel: &str) -> RedisResult<()> {
        let mut beat = self.beat(channel);
        beat.set_no_response(true);
        let Some(fence) = self.inner.link.standing() else {
            return beat.exec_async(&mut line.wires.connection(channel)).await;
        };
        let ground = &fence.ground;
        let mut connection = ground.of(ground.slot(channel)).it.connection.clone();
        // If that link is broken its own keeper will see it; what counts here is what is heard.
        drop(beat.exec_async(&mut connection).await);
        Ok(())
    }

    /// Subscribes again, at the servers that have them now, what a cluster's servers ended because slots moved. `false`: it
    /// takes a new line.
    async fn moved_over(&self, line: &mut Line, ended: &HashSet<Vec<u8>>) -> bool {
        if !line.wires.clustered() {
            return false;
        }
        let (inner, wires) = (&*self.inner, line.wires.clone());
        let wanted: Vec<Room> = inner.wanted.lock().rooms.iter().cloned().collect();
        let channels: Vec<String> = wanted.iter().map(|room| inner.keys.relay(room)).collect();
        let moved: Vec<&String> = channels.iter().filter(|channel| ended.contains(channel.as_bytes())).collect();
        for some in moved.chunks(PUSHES_AT_ONCE) {
            if try_join_all(some.iter().map(|channel| wires.subscribe(channel))).await.is_err() {
                return false;
            }
        }
        let Ok(beats) = self.begin_beats(&wires).await else { return false };
        line.beats = beats;
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

    /// The channel whose subscription ended, if nobody here ended it (its slot moved to another server).
    fn ended_by_server(&self, push: &PushInfo) -> Option<Vec<u8>> {
        let (PushKind::SUnsubscribe, Some(Value::BulkString(channel))) = (&push.kind, push.data.first()) else {
            return None;
        };
        (!self.inner.wanted.lock().left(channel)).then(|| channel.clone())
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
                match line.subscribe(&channel).await {
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
        let Some(line) = inner.line.borrow().clone() else {
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
        let left = redis::cmd("SUNSUBSCRIBE").arg(&channel).exec_async(&mut line.connection(&channel)).await;
        if let Err(error) = left {
            // The next line does not subscribe it; until then what it brings is not passed on.
            inner.wanted.lock().left(channel.as_bytes());
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

/// Reads `<epoch>:<offset>:<record without place>`.
fn read_relayed(payload: &[u8]) -> Option<Record> {
    let mut parts = payload.splitn(3, |byte| *byte == b':');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
    let cursor = Cursor::new(number()?, number()?);
    Record::placed(parts.next()?, cursor).ok()
}
