//! Presence: which sessions listen to a room, on all hubs, and who is told when they come and go.
//!
//! Sessions never wait for it. What they say goes through a bounded queue to one task, which tells the timeline; what
//! is lost on the way (a full queue, a timeline that is away) is mended by saying again, every [`SAY_AGAIN`], who
//! listens here. An entry that no hub says again ends by itself, so a hub that died leaves nobody behind.

use crate::access::Permit;
use crate::outbox::SessionId;
use crate::timeline::{LISTENING_FOR, PresenceUpdate, Timeline};
use confab_config::{JoinLeave, Rooms as RoomRules};
use confab_protocol::{Present, Refusal, Room};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OnceCell, mpsc};
use tokio_util::sync::CancellationToken;

/// How often a hub says again who listens to it: three times in the life of an entry.
const SAY_AGAIN: Duration = Duration::from_secs(LISTENING_FOR.as_secs() / 3);
/// The bound of the queue to the timeline.
const QUEUE: usize = 16 * 1024;
/// The most that is said at once.
const AT_ONCE: usize = 256;

/// The most listeners of a room that are looked at one by one.
const LISTENERS_MAX: usize = 10_000;
/// How long what was looked up is shared with all who ask.
pub const SHARED_FOR: Duration = Duration::from_millis(500);
/// So many rooms may have been asked about before those are forgotten that are not shared any more.
const SNAPSHOTS_MAX: usize = 256;

/// Who listens here, and the way to ask who listens anywhere.
pub struct Presence {
    timeline: Timeline,
    rules: RoomRules,
    /// The sessions of this hub, in rooms whose listeners can be asked for or are announced.
    here: Mutex<HashMap<Room, HashMap<SessionId, Present>>>,
    queue: mpsc::Sender<PresenceUpdate>,
    /// What was looked up a moment ago, and when that was begun.
    snapshots: Mutex<HashMap<Room, (Instant, Look)>>,
}

/// One look at a room, which all share who ask while it is under way or new.
type Look = Arc<OnceCell<Arc<Snapshot>>>;

/// Who listened to a room at a moment.
#[derive(Debug)]
pub struct Snapshot {
    /// All of them, or, past [`LISTENERS_MAX`], some; by session.
    pub some: BTreeMap<String, Present>,
    /// How many sessions there were.
    pub clients: usize,
    /// How many people: of those that are known by name, where there are more.
    pub users: usize,
}

impl Presence {
    /// Nobody yet; the receiver is for [`Self::run`].
    pub fn new(timeline: Timeline, rules: RoomRules) -> (Self, mpsc::Receiver<PresenceUpdate>) {
        let (queue, changes) = mpsc::channel(QUEUE);
        (Self { timeline, rules, here: Mutex::default(), queue, snapshots: Mutex::default() }, changes)
    }

    /// A session listens to a room from now on.
    pub fn came(&self, room: &Room, session: SessionId, who: Present) {
        let settings = self.rules.settings(room.as_str());
        if settings.presence || settings.join_leave != JoinLeave::Nobody {
            let before = self.here.lock().entry(room.clone()).or_default().insert(session, who.clone());
            self.say(room, who, true, before.is_none());
        }
    }

    /// A session listens no more.
    pub fn went(&self, room: &Room, session: SessionId) {
        let who = {
            let mut here = self.here.lock();
            let Some(listeners) = here.get_mut(room) else { return };
            let who = listeners.remove(&session);
            if listeners.is_empty() {
                here.remove(room);
            }
            who
        };
        if let Some(who) = who {
            self.say(room, who, false, true);
        }
    }

    fn say(&self, room: &Room, who: Present, here: bool, news: bool) {
        let settings = self.rules.settings(room.as_str());
        let listed = settings.presence;
        let announced = settings.join_leave != JoinLeave::Nobody && news;
        let change = PresenceUpdate { room: room.clone(), who, here, listed, announced };
        if self.queue.try_send(change).is_err() {
            // Who came is said again soon, who went is forgotten in time; only the announcement is lost.
            tracing::warn!(%room, here, "presence queue full, a join or leave is not announced");
        }
    }

    /// Who listens to a room, on any hub, as it was at most [`SHARED_FOR`] ago: looked up once for all who ask meanwhile.
    ///
    /// # Errors
    /// [`Refusal::NotAvailable`] where the room does not tell, [`Refusal::TimelineUnavailable`].
    pub async fn of(&self, permit: &Permit) -> Result<Arc<Snapshot>, Refusal> {
        let room = permit.room();
        if !self.rules.settings(room.as_str()).presence {
            return Err(Refusal::NotAvailable);
        }
        let shared = self.shared(room, Instant::now());
        shared.get_or_try_init(|| self.look(room)).await.cloned()
    }

    /// Where a snapshot is shared, or will be: one that is too old is replaced by one that has yet to be made.
    fn shared(&self, room: &Room, now: Instant) -> Arc<OnceCell<Arc<Snapshot>>> {
        let mut snapshots = self.snapshots.lock();
        let fresh = |begun: &Instant| now.saturating_duration_since(*begun) < SHARED_FOR;
        if let Some((begun, shared)) = snapshots.get(room)
            && fresh(begun)
        {
            return shared.clone();
        }
        if snapshots.len() >= SNAPSHOTS_MAX {
            snapshots.retain(|_, (begun, _)| fresh(begun));
        }
        let shared = Arc::<OnceCell<_>>::default();
        snapshots.insert(room.clone(), (now, shared.clone()));
        shared
    }

    async fn look(&self, room: &Room) -> Result<Arc<Snapshot>, Refusal> {
        let everywhere = self.timeline.listeners(room, LISTENERS_MAX).await.map_err(|error| {
            tracing::warn!(%room, %error, "could not ask who listens");
            Refusal::TimelineUnavailable
        })?;
        let mut some = everywhere.some;
        let total = everywhere.total;
        // Whoever came a moment ago may not have been told to the timeline yet, and must find itself.
        if let Some(here) = self.here.lock().get(room) {
            let room_left = LISTENERS_MAX.saturating_sub(some.len());
            some.extend(here.values().take(room_left).map(|who| (who.client.clone(), who.clone())));
        }
        let users = some.values().map(|who| &who.user).collect::<HashSet<_>>().len();
        Ok(Arc::new(Snapshot { clients: total.max(some.len()), users, some }))
    }

    /// Tells the timeline what happens, and again who listens, until `stop`; then what is still queued.
    pub async fn run(&self, mut changes: mpsc::Receiver<PresenceUpdate>, stop: CancellationToken) {
        let mut again = tokio::time::interval(SAY_AGAIN);
        again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(AT_ONCE);
        loop {
            tokio::select! {
                count = changes.recv_many(&mut batch, AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    self.tell(&batch).await;
                    batch.clear();
                }
                _ = again.tick() => {
                    for chunk in self.listed().chunks(AT_ONCE) {
                        self.tell(chunk).await;
                    }
                }
                () = stop.cancelled() => break,
            }
        }
        // Who went at the end of a drain is still told, so that nobody is shown for as long as an entry lives.
        while let Ok(change) = changes.try_recv() {
            batch.push(change);
        }
        for chunk in batch.chunks(AT_ONCE) {
            self.tell(chunk).await;
        }
    }

    async fn tell(&self, changes: &[PresenceUpdate]) {
        if let Err(error) = self.timeline.attend(changes).await {
            tracing::warn!(%error, changes = changes.len(), "could not tell who came and went");
        }
    }

    fn listed(&self) -> Vec<PresenceUpdate> {
        let here = self.here.lock();
        let told = here.iter().filter(|(room, _)| self.rules.settings(room.as_str()).presence);
        told.flat_map(|(room, listeners)| {
            listeners.values().map(|who| PresenceUpdate {
                room: room.clone(),
                who: who.clone(),
                here: true,
                listed: true,
                announced: false,
            })
        })
        .collect()
    }
}

#[cfg(test)]
#[path = "presence/tests.rs"]
mod tests;
