//! Who may not speak, and who may not be, where, and whose tokens are revoked, as far as this hub knows: the store is the
//! authority, and every hub has in memory what stands.
//!
//! Whoever is muted or banned here is refused from that moment on. Other hubs are told over the timeline that there is
//! news, and read it from the store; should they not hear it, they find it there within [`LOOK`].

mod cache;
mod revoked;

use crate::clock::now_ms;
use crate::timeline::Timeline;
use cache::SanctionCache;
use confab_protocol::signal::SanctionsChanged;
use confab_protocol::{Millis, Refusal, Room, Signal, UserId};
use confab_store::{Change, Error, Precedence, Revocation, Sanction, SanctionKind, Store};
use revoked::Revoked;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// How often the store is asked for news that nobody told of.
const LOOK: Duration = Duration::from_secs(1);
/// How long the start waits for the store to say who is muted or banned.
const START_DEADLINE: Duration = Duration::from_secs(5);
/// The most changes that are read at once.
const AT_ONCE: usize = 1000;
/// How often what is over is let go, and how long after its end in the store.
const TIDY: Duration = Duration::from_secs(600);
const KEPT_MS: Millis = 24 * 3600 * 1000;
/// How long closed flags are kept, and how many open ones.
const CLOSED_FLAGS_MS: Millis = 30 * 24 * 3600 * 1000;
const OPEN_FLAGS_MAX: usize = 10_000;

/// Takes whoever is banned out of where they are on this hub, and has sessions look whether their token was revoked.
pub type PutOut = Box<dyn Fn(&Change) + Send + Sync>;

/// The mutes, bans and revocations that stand.
pub struct Sanctions {
    store: Store,
    timeline: Timeline,
    put_out: PutOut,
    mutes: SanctionCache,
    bans: SanctionCache,
    revoked: Revoked,
    /// What was read last. Held while news are taken in, so that an older word never overtakes a newer one.
    last: Mutex<LastRead>,
    news: Notify,
    changes: AtomicU64,
}

/// The last version that was read, and its mark where it has one.
#[derive(Debug, Default)]
struct LastRead {
    version: u64,
    mark: Option<String>,
}

impl Sanctions {
    /// Nobody is kept from anything, until [`Self::look`].
    pub fn new(store: Store, timeline: Timeline, put_out: PutOut) -> Self {
        Self {
            store,
            timeline,
            put_out,
            mutes: SanctionCache::default(),
            bans: SanctionCache::default(),
            revoked: Revoked::default(),
            last: Mutex::default(),
            news: Notify::new(),
            changes: AtomicU64::new(0),
        }
    }

    /// How often anything has changed: what was found here holds for as long as this number stays.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// The refusal that a person meets who may not speak in a room.
    pub fn muted(&self, room: &Room, user: &UserId) -> Option<Refusal> {
        let (left, reason) = self.mutes.of(user, room, now_ms())?;
        Some(Refusal::Muted { seconds: left.unwrap_or(Millis::MAX).div_ceil(1000), reason })
    }

    /// The refusal that a person meets who may not be in a room, or not on this hub at all.
    pub fn banned(&self, room: &Room, user: &UserId) -> Option<Refusal> {
        self.bans.of(user, room, now_ms()).map(banned)
    }

    /// The refusal that a person meets who may not be on this hub at all.
    pub fn shut_out(&self, user: &UserId) -> Option<Refusal> {
        self.bans.everywhere(user, now_ms()).map(banned)
    }

    /// Whether a person may not be somewhere, or might not have been until lately.
    pub fn knows_ban(&self, user: &UserId) -> bool {
        self.bans.knows(user)
    }

    /// The time before which a user's tokens are revoked, if one issued at this time is among them; one that does not say when
    /// it was issued is. Times are in milliseconds since 1970.
    pub fn revoked(&self, user: &UserId, issued: Option<Millis>) -> Option<Millis> {
        self.revoked.of(user, issued)
    }

    /// Revokes a user's tokens of before a time: kept in the store, in force on this hub, and told to the others.
    ///
    /// # Errors
    /// The store's: nothing has changed.
    pub async fn revoke(&self, revocation: &Revocation) -> Result<(), Error> {
        if self.store.revoke_tokens(revocation).await? {
            self.take_in().await;
            self.tell_others().await;
        }
        Ok(())
    }

    /// Mutes somebody on this hub at once, unless a longer mute stands. [`Self::keep`] makes it last, and known to the
    /// others.
    pub fn mute_locally(&self, mute: &Sanction) {
        self.mutes.extend(mute);
        self.changed();
    }

    /// Writes a plugin's mute into the store and tells the hubs.
    ///
    /// # Errors
    /// The store's; it holds on this hub alone then, if it was [`muted_locally`](Self::mute_locally).
    pub async fn keep(&self, mute: &Sanction) -> Result<(), Error> {
        if self.store.sanction(mute, Precedence::Extends).await? {
            self.heard();
            self.tell_others().await;
        }
        Ok(())
    }

    /// A moderator's word, in place of any before it: kept in the store, in force on this hub, and told to the others.
    ///
    /// # Errors
    /// The store's: nothing has changed.
    pub async fn set(&self, sanction: &Sanction) -> Result<(), Error> {
        self.store.sanction(sanction, Precedence::Replaces).await?;
        self.take_in().await;
        self.tell_others().await;
        Ok(())
    }

    /// Lets somebody be or speak again. False if nothing kept them from it.
    ///
    /// # Errors
    /// The store's: nothing has changed.
    pub async fn lift(&self, kind: SanctionKind, room: Option<&Room>, user: &UserId, by: &str) -> Result<bool, Error> {
        let lifted = self.store.lift_sanction(kind, room, user, by, now_ms()).await?;
        if lifted {
            self.take_in().await;
            self.tell_others().await;
            return Ok(true);
        }
        let forgotten = self.cache(kind).forget_own(user, room);
        self.changed();
        Ok(forgotten)
    }

    /// Asks who is muted or banned before anyone may come, for as long as that may hold up the start; live chat does
    /// without the store.
    pub async fn look_at_start(&self) {
        match timeout(START_DEADLINE, self.look()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "could not ask who is muted or banned, trying again"),
            Err(_) => tracing::warn!("the store does not say who is muted or banned, trying again"),
        }
    }

    /// Reads what is new in the store.
    ///
    /// # Errors
    /// The store's; what is known stays.
    pub async fn look(&self) -> Result<(), Error> {
        let mut last = self.last.lock().await;
        // A store that lacks versions may have given them out anew by now: then their marks are others.
        let is_another = self.store.sanctions_version().await? < last.version
            || (last.mark.is_some() && self.store.sanctions_mark(last.version).await? != last.mark);
        if is_another {
            tracing::warn!(
                version = last.version,
                "the store is not the one it was: reading anew who is muted and banned"
            );
            *last = LastRead::default();
            self.mutes.forget_kept();
            self.bans.forget_kept();
            self.revoked.clear();
        }
        loop {
            let news = self.store.changes_since(last.version, AT_ONCE).await?;
            let count = news.len();
            let now = now_ms();
            for (version, change) in news {
                last.version = version.max(last.version);
                self.take(&change, now);
                self.changed();
            }
            if count > 0 {
                last.mark = self.store.sanctions_mark(last.version).await?;
            }
            if count < AT_ONCE {
                return Ok(());
            }
        }
    }

    fn take(&self, change: &Change, now: Millis) {
        let sanction = match change {
            Change::Sanction(sanction) => sanction,
            Change::Revocation(Revocation { user, before, .. }) => {
                self.revoked.set(user, *before);
                return (self.put_out)(change);
            }
        };
        let cache = self.cache(sanction.kind);
        if !sanction.stands(now) {
            return cache.forget(&sanction.user, sanction.room.as_ref());
        }
        cache.replace(sanction);
        if sanction.kind == SanctionKind::Ban {
            (self.put_out)(change); // after it is known: nobody comes in any more
        }
    }

    /// There is news in the store.
    pub fn heard(&self) {
        self.news.notify_one();
    }

    /// Follows the store until `stop`, and lets go of what is over. `alone`: nobody else writes into it.
    pub async fn follow(&self, alone: bool, stop: CancellationToken) {
        let mut away = false;
        let mut tidied = None;
        let mut known = false;
        let pause = if alone { TIDY } else { LOOK };
        loop {
            match self.look().await {
                Ok(()) => (away, known) = (false, true),
                Err(error) if !away => {
                    away = true;
                    tracing::warn!(%error, known, "could not ask who is muted or banned: hubs hear of it later");
                }
                Err(_) => {} // said already
            }
            if tidied.is_none_or(|at: Instant| at.elapsed() >= TIDY) {
                tidied = Some(Instant::now());
                self.tidy().await;
            }
            let pause = if known && !away { pause } else { LOOK };
            let waiting = timeout(pause, self.news.notified());
            if stop.run_until_cancelled(waiting).await.is_none() {
                return;
            }
        }
    }

    fn cache(&self, kind: SanctionKind) -> &SanctionCache {
        match kind {
            SanctionKind::Mute => &self.mutes,
            SanctionKind::Ban => &self.bans,
        }
    }

    /// What was just written is in force here when this returns; should the store be gone again, a moment later.
    async fn take_in(&self) {
        if let Err(error) = self.look().await {
            tracing::warn!(%error, "could not read back who is muted or banned, trying again");
            self.heard();
        }
    }

    async fn tell_others(&self) {
        if let Err(error) = self.timeline.tell(&Signal::to_hubs(SanctionsChanged {})).await {
            tracing::debug!(%error, "could not tell other hubs of a mute or a ban: they find it in the store");
        }
    }

    async fn tidy(&self) {
        let now = now_ms();
        self.mutes.tidy(now);
        self.bans.tidy(now);
        let sanctions = self.store.forget_sanctions(now.saturating_sub(KEPT_MS)).await;
        let flags = self.store.forget_flags(now.saturating_sub(CLOSED_FLAGS_MS), OPEN_FLAGS_MAX).await;
        match (sanctions, flags) {
            (Ok(0), Ok(0)) => {}
            (Ok(sanctions), Ok(flags)) => tracing::info!(sanctions, flags, "removed old mutes, bans and flags"),
            (Err(error), _) | (_, Err(error)) => {
                tracing::debug!(%error, "could not remove old mutes, bans and flags yet");
            }
        }
    }
}

fn banned((left, reason): cache::Left) -> Refusal {
    Refusal::Banned { seconds: left.map(|left| left.div_ceil(1000)), reason }
}
