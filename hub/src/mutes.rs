//! Who may not speak where, as far as this hub knows: the store is the authority, and every hub has in memory what stands.
//!
//! Whoever is muted here is refused from that moment on. Other hubs are told over the timeline that there is news, and read
//! it from the store; should they not hear it, they find it there within [`LOOK`].

use crate::timeline::Timeline;
use confab_protocol::{Event, Kind, Millis, Refusal, Room, UserId};
use confab_store::{Error, Mute, Store, Weight};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// How often the store is asked for news that nobody told of.
const LOOK: Duration = Duration::from_secs(1);
/// The most changes that are read at once.
const AT_ONCE: usize = 1000;
/// How often what is over is let go, and how long after its end in the store.
const TIDY: Duration = Duration::from_secs(600);
const KEPT_MS: Millis = 24 * 3600 * 1000;
/// How long closed flags are kept, and how many open ones.
const CLOSED_FLAGS_MS: Millis = 30 * 24 * 3600 * 1000;
const OPEN_FLAGS_MAX: usize = 10_000;

/// The mutes that stand.
pub struct Mutes {
    store: Store,
    timeline: Timeline,
    known: RwLock<HashMap<Room, HashMap<UserId, Mute>>>,
    /// How many are known: most hubs need look no further.
    count: AtomicUsize,
    /// The last version that was read.
    version: AtomicU64,
    news: Notify,
}

impl Mutes {
    /// Nobody is muted, until [`Self::look`].
    pub fn new(store: Store, timeline: Timeline) -> Self {
        let (known, count, version) = (RwLock::default(), AtomicUsize::default(), AtomicU64::default());
        Self { store, timeline, known, count, version, news: Notify::new() }
    }

    /// The refusal that an event meets, if its sender may not speak in its room. Taking something back is not speaking.
    pub fn refuse(&self, event: &Event) -> Option<Refusal> {
        match event.kind {
            Kind::Delete | Kind::Unreaction => None,
            Kind::Message | Kind::Edit | Kind::Reaction => self.of(&event.room, &event.sender.user),
        }
    }

    /// The refusal that a person meets who may not speak in a room.
    pub fn of(&self, room: &Room, user: &UserId) -> Option<Refusal> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let known = self.known.read();
        let mute = known.get(room)?.get(user)?;
        let left = mute.until.checked_sub(now_ms()).filter(|left| *left > 0)?;
        Some(Refusal::Muted { seconds: left.div_ceil(1000), reason: mute.reason.clone() })
    }

    /// Mutes somebody on this hub at once. [`Self::keep`] makes it last, and known to the others.
    pub fn hush(&self, mute: &Mute, weight: Weight) {
        let mut known = self.known.write();
        let here = known.entry(mute.room.clone()).or_default();
        let stands = here.get(&mute.user).is_some_and(|before| before.until >= mute.until);
        if !(stands && weight == Weight::Extends) && here.insert(mute.user.clone(), mute.clone()).is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes a mute into the store and tells the other hubs.
    ///
    /// # Errors
    /// The store's; it holds on this hub alone then, if it was [`hushed`](Self::hush).
    pub async fn keep(&self, mute: &Mute, weight: Weight) -> Result<(), Error> {
        if self.store.mute(mute, weight).await? {
            self.tell_others().await;
        }
        Ok(())
    }

    /// Lets somebody speak again. False if they are not muted.
    ///
    /// # Errors
    /// The store's: nothing has changed.
    pub async fn lift(&self, room: &Room, user: &UserId, by: &str) -> Result<bool, Error> {
        let lifted = self.store.lift_mute(room, user, by, now_ms()).await?;
        let here = self.forget(room, user);
        if lifted {
            self.tell_others().await;
        }
        Ok(lifted || here)
    }

    /// Reads what is new in the store.
    ///
    /// # Errors
    /// The store's; what is known stays.
    pub async fn look(&self) -> Result<(), Error> {
        loop {
            let last = self.version.load(Ordering::Relaxed);
            let news = self.store.mutes_since(last, AT_ONCE).await?;
            let (count, now) = (news.len(), now_ms());
            for (version, mute) in news {
                self.version.fetch_max(version, Ordering::Relaxed);
                if mute.until > now {
                    self.hush(&mute, Weight::Replaces);
                } else {
                    self.forget(&mute.room, &mute.user);
                }
            }
            if count < AT_ONCE {
                return Ok(());
            }
        }
    }

    /// There is news in the store.
    pub fn heard(&self) {
        self.news.notify_one();
    }

    /// Follows the store until `stop`, and lets go of what is over. `alone`: nobody else writes into it.
    pub async fn follow(&self, alone: bool, stop: CancellationToken) {
        let (mut away, mut tidied, mut known) = (false, None, false);
        let pause = if alone { TIDY } else { LOOK };
        loop {
            match self.look().await {
                Ok(()) => (away, known) = (false, true),
                Err(error) if !away => {
                    away = true;
                    tracing::warn!(%error, known, "could not ask who is muted: hubs hear of it later");
                }
                Err(_) => {} // said already
            }
            if tidied.is_none_or(|at: Instant| at.elapsed() >= TIDY) {
                tidied = Some(Instant::now());
                self.tidy().await;
            }
            let pause = if known { pause } else { LOOK };
            let waiting = timeout(pause, self.news.notified());
            if stop.run_until_cancelled(waiting).await.is_none() {
                return;
            }
        }
    }

    /// Lets somebody speak on this hub; whether they were muted.
    fn forget(&self, room: &Room, user: &UserId) -> bool {
        let muted = self.known.write().get_mut(room).and_then(|here| here.remove(user)).is_some();
        if muted {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        muted
    }

    async fn tell_others(&self) {
        if let Err(error) = self.timeline.tell_news().await {
            tracing::debug!(%error, "could not tell other hubs of a mute: they find it in the store");
        }
    }

    async fn tidy(&self) {
        let now = now_ms();
        {
            let mut known = self.known.write();
            known.retain(|_, here| {
                here.retain(|_, mute| mute.until > now);
                !here.is_empty()
            });
            self.count.store(known.values().map(HashMap::len).sum(), Ordering::Relaxed);
        }
        let mutes = self.store.forget_mutes(now.saturating_sub(KEPT_MS)).await;
        let flags = self.store.forget_flags(now.saturating_sub(CLOSED_FLAGS_MS), OPEN_FLAGS_MAX).await;
        match (mutes, flags) {
            (Ok(0), Ok(0)) => {}
            (Ok(mutes), Ok(flags)) => tracing::info!(mutes, flags, "removed old mutes and flags"),
            (Err(error), _) | (_, Err(error)) => tracing::debug!(%error, "could not remove old mutes and flags yet"),
        }
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis)
}
